// Pillow's filters on planes: Gaussian blur (three extended box blurs, libImaging/BoxBlur.c), maximum, and mean of blocks.

import { by255 } from "./blend.js";
import { blank, blankPlane } from "./raster.js";

const PASSES = 3;
const ONE = 1 << 24;

/** A plane blurred by a sigma across and down; itself if both are 0. */
export function blurred(plane, across, down = across) {
  let result = plane;
  if (across > 0) result = blurredRows(result, boxRadius(across));
  if (down > 0) result = transposed(blurredRows(transposed(result), boxRadius(down)));
  return result;
}

/** Gwosdek et al., "Theoretical Foundations of Gaussian Convolution by Extended Box Filtering", 2011. */
function boxRadius(sigma) {
  const variance = (sigma * sigma) / PASSES;
  const whole = Math.floor((Math.sqrt(12 * variance + 1) - 1) / 2);
  const part = (2 * whole + 1) * (whole * (whole + 1) - 3 * variance);
  return whole + part / (6 * (variance - (whole + 1) * (whole + 1)));
}

function blurredRows({ width, height, data }, boxed) {
  const radius = Math.trunc(boxed);
  const inner = Math.trunc(ONE / (boxed * 2 + 1));
  const outer = Math.trunc((ONE - (radius * 2 + 1) * inner) / 2);
  const result = blankPlane({ width, height });
  // The row with its first and last pixel repeated beyond its ends.
  const line = new Float64Array(width + 2 * radius + 2);
  for (let row = 0; row < height; row++) {
    let source = data.subarray(row * width, (row + 1) * width);
    const target = result.data.subarray(row * width, (row + 1) * width);
    for (let pass = 0; pass < PASSES; pass++, source = target) boxBlur(source, line, radius, inner, outer, target);
  }
  return result;
}

function boxBlur(source, line, radius, inner, outer, target) {
  const start = radius + 1;
  line.fill(source[0], 0, start);
  for (let at = 0; at < source.length; at++) line[start + at] = source[at];
  line.fill(source[source.length - 1], start + source.length);
  let sum = 0;
  for (let at = 0; at < 2 * radius + 1; at++) sum += line[at];
  for (let at = 0; at < source.length; at++) {
    sum += line[at + 2 * radius + 1] - line[at];
    target[at] = (sum * inner + (line[at] + line[at + 2 * radius + 2]) * outer + ONE / 2) >>> 24;
  }
}

function transposed({ width, height, data }) {
  const result = new Uint8ClampedArray(data.length);
  for (let row = 0, at = 0; row < height; row++) {
    for (let column = 0, to = row; column < width; column++, to += height) result[to] = data[at++];
  }
  return { width: height, height: width, data: result };
}

/** The greatest of each square of `side` (odd) pixels. */
export function widest(plane, side) {
  return transposed(widestRows(transposed(widestRows(plane, side)), side));
}

function widestRows({ width, height, data }, side) {
  const result = blankPlane({ width, height });
  const reach = side >> 1;
  for (let row = 0; row < height; row++) {
    const start = row * width;
    for (let column = 0; column < width; column++) {
      let most = 0;
      const end = Math.min(width - 1, column + reach);
      for (let at = Math.max(0, column - reach); at <= end; at++) most = Math.max(most, data[start + at]);
      result.data[start + column] = most;
    }
  }
  return result;
}

/** The mean alpha of each block of `factor` x `factor` pixels of a raster. */
export function reducedAlpha(raster, factor) {
  const result = blankPlane({ width: Math.ceil(raster.width / factor), height: Math.ceil(raster.height / factor) });
  eachBlock(raster, factor, (at) => raster.data[4 * at + 3], (place, count, red, green, blue, alpha) => {
    result.data[place] = Math.trunc((alpha + (count >> 1)) / count);
  });
  return result;
}

/** The mean of each block of `factor` x `factor` pixels of a raster, weighted by alpha. */
export function reduced(raster, factor) {
  const result = blank({ width: Math.ceil(raster.width / factor), height: Math.ceil(raster.height / factor) });
  eachBlock(raster, factor, (at) => raster.data[4 * at + 3], (place, count, red, green, blue, alpha) => {
    const mean = alpha && Math.trunc((alpha + (count >> 1)) / count);
    [red, green, blue].forEach((sum, band) => {
      const value = Math.trunc((sum + (count >> 1)) / count);
      result.data[4 * place + band] = mean ? Math.trunc((255 * value) / mean) : 0;
    });
    result.data[4 * place + 3] = mean;
  });
  return result;
}

/**
 * Call `emit(place, count, red, green, blue, alpha)` for each block: the number of its pixels, and the sums of their alpha and
 * of their colours times alpha, 0-255. `alphaOf(at)` is the alpha of a pixel.
 */
export function eachBlock({ width, height, data }, factor, alphaOf, emit) {
  const columns = Math.ceil(width / factor);
  const sums = new Float64Array(4 * columns);
  for (let top = 0, place = 0; top < height; top += factor) {
    const rows = Math.min(factor, height - top);
    sums.fill(0);
    for (let at = top * width; at < (top + rows) * width; at++) {
      const alpha = alphaOf(at);
      if (alpha === 0) continue;
      const to = 4 * Math.floor((at % width) / factor);
      sums[to] += by255(data[4 * at] * alpha + 128);
      sums[to + 1] += by255(data[4 * at + 1] * alpha + 128);
      sums[to + 2] += by255(data[4 * at + 2] * alpha + 128);
      sums[to + 3] += alpha;
    }
    for (let column = 0; column < columns; column++, place++) {
      const count = rows * Math.min(factor, width - column * factor);
      emit(place, count, ...sums.subarray(4 * column, 4 * column + 4));
    }
  }
}
