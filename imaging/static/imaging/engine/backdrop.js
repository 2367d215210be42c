// What goes behind the subject: another image, or the photograph itself, blurred. A port of imaging/core/finishing/background.py.

import { quarterTurns } from "../geometry.js";
import { resized } from "./arranging.js";
import { under } from "./blend.js";
import { blurred, reduced } from "./blur.js";
import { blankPlane, halfEven } from "./raster.js";
import { resample } from "./resample.js";
import { turned } from "./rotate.js";
import { spread } from "./spreading.js";

// The longer side of the copy that is blurred.
export const BLURRED_SIDE = 1024;
// What `bg_blur` of 100 means: a sigma of this share of the longer side.
const MOST_BLUR = 0.06;
const REDUCING_GAP = 2;

/**
 * The background of a photograph at `side` pixels or its own smaller size, the subject's colours replaced with those about it:
 * so that they do not glow around it. `matte` is a plane. What `blurredBackdrop` starts with.
 */
export function withoutSubject(photograph, matte, side = BLURRED_SIDE) {
  const factor = Math.max(1, Math.ceil(Math.max(photograph.width, photograph.height) / side));
  const { width, height, data } = reduced(photograph, factor, (at) => 255 - matte.data[at]);
  const count = width * height;
  const weighted = new Float32Array(4 * count);
  for (let at = 0; at < count; at++) {
    const weight = Math.fround(data[4 * at + 3] / 255);
    for (let band = 0; band < 3; band++) weighted[band * count + at] = Math.fround(data[4 * at + band] / 255) * weight;
    weighted[3 * count + at] = weight;
  }
  const colours = spread(weighted, height, width);
  return [0, 1, 2].map((band) => {
    const plane = blankPlane({ width, height });
    for (let at = 0; at < count; at++) {
      const level = Math.fround(Math.min(1, Math.max(0, colours[band * count + at])) * 255);
      plane.data[at] = Math.trunc(Math.fround(level + 0.5));
    }
    return plane;
  });
}

/** The planes of `withoutSubject` blurred (0-100), as a raster. Turned with the image by quarter turns alone: at any other angle it would bare corners. */
export function blurredBackdrop(planes, blur, angle) {
  const { width, height } = planes[0];
  const sigma = (blur / 100) * MOST_BLUR * Math.max(width, height);
  const data = new Uint8ClampedArray(4 * width * height).fill(255);
  planes.forEach((plane, band) => {
    blurred(plane, sigma).data.forEach((value, at) => { data[4 * at + band] = value; });
  });
  const turns = quarterTurns(90 * halfEven(angle / 90));
  return turns ? turned({ width, height, data }, turns) : { width, height, data };
}

/** A raster no larger than it must be to cover a canvas. */
export function shrunk(raster, canvas) {
  const scale = Math.max(canvas.width / raster.width, canvas.height / raster.height);
  if (scale >= 1) return raster;
  const wanted = { width: Math.max(1, Math.ceil(raster.width * scale)), height: Math.max(1, Math.ceil(raster.height * scale)) };
  const factor = Math.trunc(1 / scale / REDUCING_GAP);
  return resized(factor > 1 ? reduced(raster, factor) : raster, wanted);
}

/** Composite `cutout` over `backdrop`, in place: centred, and scaled to cover it. */
export function layOnImage(cutout, backdrop) {
  const { width, height, data } = cutout;
  const scale = Math.min(backdrop.width / width, backdrop.height / height);
  const [left, top] = [(backdrop.width - width * scale) / 2, (backdrop.height - height * scale) / 2];
  const [right, bottom] = [Math.min(backdrop.width, left + width * scale), Math.min(backdrop.height, top + height * scale)];
  const box = [Math.max(0, left), Math.max(0, top), right, bottom];
  resample(backdrop, box, { width, height }, [0, 0, backdrop.width, backdrop.height], (row, pixels) => {
    let at = row * width * 4;
    for (let from = 0; from < pixels.length; from += 4, at += 4) {
      under(data, at, pixels[from], pixels[from + 1], pixels[from + 2], pixels[from + 3]);
    }
  });
}
