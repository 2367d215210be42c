// Puts the subject on its canvas, and shrinks and covers: what imaging/core/compose.py and background.py do by resampling.

import { blank } from "./raster.js";
import { resample } from "./resample.js";

/** The part `source` of a raster (fractions are allowed), resized to `size` at `place`, on a transparent `canvas`. */
export function arrange(raster, { source, size, canvas, place: [left, top] }) {
  const isWhole = source[0] === 0 && source[1] === 0 && source[2] === raster.width && source[3] === raster.height;
  const isSame = isWhole && size.width === raster.width && size.height === raster.height;
  if (isSame && canvas.width === size.width && canvas.height === size.height) return raster;
  const result = blank(canvas);
  const [start, end] = [Math.max(0, left), Math.min(canvas.width, left + size.width)];
  const emit = (row, pixels) => {
    if (top + row < 0 || top + row >= canvas.height) return;
    result.data.set(pixels.subarray((start - left) * 4, (end - left) * 4), ((top + row) * canvas.width + start) * 4);
  };
  if (isCut(source, size)) copyRows(raster, source, size, emit);
  else resample(raster, source, size, outline(source, raster), emit);
  return result;
}

/** Whether a part has the size of the result: its pixels stay what they are, where resampling would round faint colours. */
function isCut([left, top, right, bottom], { width, height }) {
  return right - left === width && bottom - top === height && Number.isInteger(left) && Number.isInteger(top);
}

function copyRows(raster, [left, top], { width, height }, emit) {
  for (let row = 0; row < height; row++) {
    const start = ((top + row) * raster.width + left) * 4;
    emit(row, raster.data.subarray(start, start + width * 4));
  }
}

/** A raster resampled to `size`; itself if it has that size. */
export function resized(raster, size) {
  const source = [0, 0, raster.width, raster.height];
  return arrange(raster, { source, size, canvas: size, place: [0, 0] });
}

/** The whole pixels around a box. */
function outline([left, top, right, bottom], { width, height }) {
  return [Math.floor(left), Math.floor(top), Math.min(width, Math.ceil(right)), Math.min(height, Math.ceil(bottom))];
}
