// A shadow behind the subject: `drop`, as of a sheet of paper, and `contact`, as of a thing that stands on the ground. A port
// of imaging/core/finishing/shadow.py, whose comments explain its constants.

import { under } from "./blend.js";
import { blurred, grown, reducedAlpha, reachOf } from "./blur.js";
import { blankPlane, findSubject, halfEven } from "./raster.js";
import { resamplePlane } from "./resample.js";
import { inPixels } from "./values.js";

const percent = (value) => ({ value, unit: "%" });
const DROP = { blur: percent(2.5), offset: [percent(1), percent(2.5)], opacity: 45, draw: drop };
const CONTACT = { blur: percent(5), offset: [percent(0), percent(0)], opacity: 70, draw: contact };
const GROUND = 0.12;
// Shares of the blur, and weights.
const LAYERS = [[0.12, 0.55], [0.4, 0.4], [1, 0.3]];
const FLATNESS = 0.35;
const MOST_GROWN = 20;
const SIDE = 1024;
const STRIP_PIXELS = 1 << 20;

/** Put a shadow behind a raster, in place. Lengths in px are times `scale`, below 1 for a preview that is smaller than the result. */
export function addShadow(raster, shadow, scale = 1) {
  const box = shadow && findSubject(raster);
  if (!box) return;
  const usual = shadow.kind === "drop" ? DROP : CONTACT;
  const length = Math.max(box[2] - box[0], box[3] - box[1]);
  const pixels = (given) => inPixels(given, length) * (given.unit === "px" ? scale : 1);
  const blur = pixels(shadow.blur ?? usual.blur);
  const offset = (shadow.offset ?? usual.offset).map(pixels);
  const opacity = ((shadow.opacity ?? usual.opacity) / 100) * (shadow.colour[3] / 255);
  const shade = usual.draw(raster, box, blur, offset, opacity);
  layBehind(raster, shade, shadow.colour);
}

/** How many times smaller the copy is on which a shadow is drawn: a quarter of the blur at most. */
function factorFor({ width, height }, blur) {
  return Math.max(1, Math.min(Math.ceil(Math.max(width, height) / SIDE), Math.trunc(blur / 4) || 1));
}

/** The blurred alpha, moved by `offset`. */
function drop(raster, box, blur, offset, opacity) {
  const factor = factorFor(raster, blur);
  const shade = blurred(moved(reducedAlpha(raster, factor), offset, factor), blur / factor);
  return { ...mapped(shade, (alpha) => halfEven(alpha * opacity)), factor };
}

/** The line on which the subject stands, blurred flat, narrowly and strongly as well as widely and faintly. */
function contact(raster, box, blur, offset, opacity) {
  const factor = factorFor(raster, blur * LAYERS[0][0]);
  const whole = moved(groundLine(reducedAlpha(raster, factor), box, factor), offset, factor);
  const window = around(findSubject(whole), 2 * MOST_GROWN + reachOf(blur / factor), whole);
  const line = cropped(whole, window);
  const shade = blankPlane(line);
  for (const [share, weight] of LAYERS) {
    const sigma = Math.max(0.5, (share * blur) / factor);
    const layer = blurred(grown(line, odd(sigma * FLATNESS)), sigma, Math.max(0.4, sigma * FLATNESS));
    const strength = (weight * opacity * 255) / (greatest(layer) || 1);
    const { data } = mapped(layer, (value) => Math.min(255, halfEven(value * strength)));
    // As of several translucent layers.
    for (let at = 0; at < data.length; at++) shade.data[at] = 255 - Math.trunc(((255 - shade.data[at]) * (255 - data[at])) / 255);
  }
  return { ...pasted(shade, whole, window), factor };
}

/** A box and what a blur may reach around it, in a plane; of a pixel if there is no box. */
function around(box, reach, { width, height }) {
  const [left, top, right, bottom] = box ?? [0, 0, 1, 1];
  return [Math.max(0, left - reach), Math.max(0, top - reach), Math.min(width, right + reach), Math.min(height, bottom + reach)];
}

function cropped({ width, data }, [left, top, right, bottom]) {
  const result = blankPlane({ width: right - left, height: bottom - top });
  for (let row = top; row < bottom; row++) result.data.set(data.subarray(row * width + left, row * width + right), (row - top) * result.width);
  return result;
}

function pasted(plane, size, [left, top]) {
  const result = blankPlane(size);
  for (let row = 0; row < plane.height; row++) {
    result.data.set(plane.data.subarray(row * plane.width, (row + 1) * plane.width), (top + row) * size.width + left);
  }
  return result;
}

function odd(size) {
  return 2 * Math.min(MOST_GROWN, Math.max(1, halfEven(size / 2))) + 1;
}

function greatest({ data }) {
  return data.reduce((most, value) => Math.max(most, value), 0);
}

function mapped(plane, change) {
  const table = Uint8ClampedArray.from({ length: 256 }, (_, value) => change(value));
  return { ...plane, data: plane.data.map((value) => table[value]) };
}

function moved(plane, offset, factor) {
  const [left, top] = offset.map((length) => halfEven(length / factor));
  const { width, height, data } = plane;
  const result = blankPlane(plane);
  const [start, end] = [Math.max(0, -left), Math.min(width, width - left)];
  if (end <= start) return result;
  for (let row = Math.max(0, -top); row < Math.min(height, height - top); row++) {
    result.data.set(data.subarray(row * width + start, row * width + end), (row + top) * width + start + left);
  }
  return result;
}

/** The lowest solid pixel of each column, where it is among the lowest of the subject: 255 or 0. */
function groundLine(alpha, box, factor) {
  const { width, height, data } = alpha;
  const bottom = Math.ceil(box[3] / factor);
  const top = Math.max(0, halfEven(bottom - Math.max(1, ((box[3] - box[1]) / factor) * GROUND)));
  const line = blankPlane(alpha);
  const isSolid = (row, at) => row < height && data[at] >= 128;
  for (let row = top; row < height; row++) {
    for (let at = row * width; at < (row + 1) * width; at++) {
      if (isSolid(row, at) && !isSolid(row + 1, at + width)) line.data[at] = 255;
    }
  }
  return line;
}

/** Composite a raster over a colour with the alpha of `shade`, which is `factor` times smaller, in place, strip by strip. */
function layBehind(raster, shade, [red, green, blue]) {
  const { width, height, data } = raster;
  const rows = Math.max(1, Math.floor(STRIP_PIXELS / width));
  for (let top = 0; top < height; top += rows) {
    const count = Math.min(rows, height - top);
    const box = [0, top / shade.factor, width / shade.factor, (top + count) / shade.factor];
    const part = resamplePlane(shade, box, { width, height: count }).data;
    for (let from = 0, at = 4 * top * width; from < part.length; from++, at += 4) {
      if (part[from] && data[at + 3] < 255) under(data, at, red, green, blue, part[from]);
    }
  }
}
