// Draws the visible part of an image with its matte: all of it when the view changes, else only what has changed.

import { makeSurface } from "../engine/surfaces.js";

// How much of the original still shows where it is erased.
const FAINT = 0.3;
const RED = { colour: [225, 29, 42], strength: 0.6 };
const SAMPLED_TWICE_BELOW = 0.75;
// From this scale on pixels are shown as squares.
const SQUARES_FROM = 3;

/** An image and its halves, down to about a megapixel: from the nearest one a view is drawn quickly and without gaps. */
export async function makeLevels(image) {
  const levels = [image];
  for (let last = image; last.width * last.height > 1 << 20; last = levels.at(-1)) {
    const half = { resizeWidth: Math.ceil(last.width / 2), resizeHeight: Math.ceil(last.height / 2), resizeQuality: "medium" };
    levels.push(await createImageBitmap(last, half));
  }
  return levels;
}

/**
 * `canvas` is the one that is seen. A view: `{width, height, scale, left, top}`: the canvas's size, and where the image lies on it,
 * all in pixels of the canvas. A look: "faint", "backdrop" or "red".
 */
export class Painter {
  constructor(canvas, levels, matte) {
    Object.assign(this, { canvas, levels, matte, look: "faint", outside: "#808080" });
    this.context = canvas.getContext("2d");
    this.scratch = makeSurface({ width: 1, height: 1 }).context;
  }

  /** Show another part of the image, or another size of the canvas. Draws nothing yet. */
  setView(view) {
    this.view = view;
    for (const canvas of [this.canvas, this.scratch.canvas]) {
      if (canvas.width !== view.width || canvas.height !== view.height) Object.assign(canvas, { width: view.width, height: view.height });
    }
    // Of the matte for a pixel of the view, along and across.
    const samples = view.scale < SAMPLED_TWICE_BELOW ? 2 : 1;
    this.samples = samples;
    this.columns = samplesAlong(view.width, view.left, view.scale, this.matte.width, samples);
    this.rows = samplesAlong(view.height, view.top, view.scale, this.matte.height, samples);
    this.colours = this.drawOriginal();
  }

  drawOriginal() {
    const { scratch, outside, view: { width, height, scale, left, top }, levels: [full] } = this;
    const [wide, high] = [full.width * scale, full.height * scale];
    const level = this.levels.findLast((_, index) => scale <= 0.5 ** index) ?? full;
    scratch.fillStyle = outside;
    scratch.fillRect(0, 0, width, height);
    scratch.clearRect(left, top, wide, high);
    // The level is at most twice as large as what is drawn.
    Object.assign(scratch, { imageSmoothingEnabled: scale < SQUARES_FROM, imageSmoothingQuality: "low" });
    scratch.drawImage(level, left, top, wide, high);
    return scratch.getImageData(0, 0, width, height).data;
  }

  /** Draw what lies over a rectangle of the matte; all of it without one. */
  draw(rect = null) {
    const { width, height, scale, left, top } = this.view;
    const onView = rect === null
      ? { left: 0, top: 0, right: width, bottom: height }
      : {
          left: Math.max(0, Math.floor(rect.left * scale + left) - 1),
          top: Math.max(0, Math.floor(rect.top * scale + top) - 1),
          right: Math.min(width, Math.ceil(rect.right * scale + left) + 1),
          bottom: Math.min(height, Math.ceil(rect.bottom * scale + top) + 1),
        };
    if (onView.left >= onView.right || onView.top >= onView.bottom) return;
    const image = new ImageData(onView.right - onView.left, onView.bottom - onView.top);
    for (let row = onView.top; row < onView.bottom; row++) this.drawRow(image.data, row, onView);
    this.context.putImageData(image, onView.left, onView.top);
  }

  drawRow(pixels, row, { left, top, right }) {
    const start = (row * this.view.width + left) * 4;
    const target = (row - top) * (right - left) * 4;
    pixels.set(this.colours.subarray(start, start + (right - left) * 4), target);
    if (this.rows[row * this.samples] < 0) return;
    // The image is in one piece: only its first and last columns need a look at what is outside.
    while (left < right && this.columns[left * this.samples] < 0) left++;
    while (left < right && this.columns[(right - 1) * this.samples] < 0) right--;
    const values = this.readMatte(row, left, right);
    LOOKS[this.look](pixels, target + (row * this.view.width + left) * 4 - start, values);
  }

  /** The means of the matte under the pixels of a row of the view, from column `left` to `right`. */
  readMatte(row, left, right) {
    const { columns, rows, samples, matte: { data, width } } = this;
    const values = new Uint8Array(right - left);
    const start = rows[row * samples] * width;
    if (samples === 1) {
      for (let to = 0, from = left; to < values.length; to++, from++) values[to] = data[start + columns[from]];
      return values;
    }
    const next = rows[row * samples + 1] * width;
    for (let to = 0, from = left * samples; to < values.length; to++, from += 2) {
      const one = columns[from];
      const other = columns[from + 1];
      values[to] = (data[start + one] + data[start + other] + data[next + one] + data[next + other] + 2) >> 2;
    }
    return values;
  }
}

/** For each pixel along a side of the view the matte's `samples` pixels under it; -1 outside of the image. */
function samplesAlong(length, offset, scale, limit, samples) {
  const found = new Int32Array(length * samples);
  for (let at = 0; at < found.length; at++) {
    const place = (at + 0.5) / samples - offset;
    const middle = (Math.floor(at / samples) + 0.5 - offset) / scale;
    found[at] = middle < 0 || middle >= limit ? -1 : Math.min(limit - 1, Math.max(0, Math.floor(place / scale)));
  }
  return found;
}

// How the values of the matte change pixels, from one on. The alpha of a pixel is the original's own before.
const LOOKS = {
  backdrop(pixels, first, matte) {
    for (let to = first + 3, at = 0; at < matte.length; at++, to += 4) pixels[to] = matte[at];
  },

  faint(pixels, first, matte) {
    for (let to = first + 3, at = 0; at < matte.length; at++, to += 4) pixels[to] = matte[at] + FAINT * Math.max(0, pixels[to] - matte[at]);
  },

  red(pixels, first, matte) {
    for (let to = first, at = 0; at < matte.length; at++, to += 4) {
      const strength = RED.strength * (1 - matte[at] / 255);
      for (let channel = 0; channel < 3; channel++) pixels[to + channel] += (RED.colour[channel] - pixels[to + channel]) * strength;
    }
  },
};
