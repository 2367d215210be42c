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

/** How far a blur of a sigma reaches, in pixels. */
export function reachOf(sigma) {
  return PASSES * (Math.trunc(boxRadius(Math.max(sigma, 0.5))) + 1);
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

/** A plane of 0 and 255 with each 255 grown to a square of `side` (odd) pixels: the greatest of each square. */
export function grown(plane, side) {
  return transposed(grownRows(transposed(grownRows(plane, side)), side));
}

function grownRows({ width, height, data }, side) {
  const result = blankPlane({ width, height });
  const reach = side >> 1;
  for (let row = 0; row < height; row++) {
    const line = result.data.subarray(row * width, (row + 1) * width);
    for (let column = 0, start = row * width; column < width; column++) {
      if (data[start + column]) line.fill(255, Math.max(0, column - reach), column + reach + 1);
    }
  }
  return result;
}

/** The mean alpha of each block of `factor` x `factor` pixels of a raster. */
export function reducedAlpha({ width, height, data }, factor) {
  const result = blankPlane({ width: Math.ceil(width / factor), height: Math.ceil(height / factor) });
  const sums = new Int32Array(result.width);
  for (let top = 0, to = 0; top < height; top += factor) {
    const rows = Math.min(factor, height - top);
    sums.fill(0);
    for (let row = top; row < top + rows; row++) {
      let at = row * width * 4 + 3;
      for (let column = 0, left = 0; column < result.width; column++, left += factor) {
        const end = at + Math.min(factor, width - left) * 4;
        for (; at < end; at += 4) sums[column] += data[at];
      }
    }
    for (let column = 0; column < result.width; column++, to++) {
      const count = rows * Math.min(factor, width - column * factor);
      result.data[to] = Math.trunc((sums[column] + (count >> 1)) / count);
    }
  }
  return result;
}

/** The mean of each block of `factor` x `factor` pixels of a raster, weighted by alpha. `alphaOf(at)` is the alpha of a pixel. */
export function reduced(raster, factor, alphaOf = (at) => raster.data[4 * at + 3]) {
  if (factor === 1) return withAlpha(raster, alphaOf);
  const { width, height, counts, sums } = blockSums(raster, factor, alphaOf);
  const result = blank({ width, height });
  for (let at = 0; at < counts.length; at++) {
    const mean = (band) => Math.trunc((sums[4 * at + band] + (counts[at] >> 1)) / counts[at]);
    const alpha = mean(3);
    for (let band = 0; band < 3; band++) result.data[4 * at + band] = alpha ? Math.trunc((255 * mean(band)) / alpha) : 0;
    result.data[4 * at + 3] = alpha;
  }
  return result;
}

function withAlpha({ width, height, data }, alphaOf) {
  const result = { width, height, data: data.slice() };
  for (let at = 0; at < width * height; at++) result.data[4 * at + 3] = alphaOf(at);
  return result;
}

/** For each block of pixels their number, and four sums: of their colours times alpha, and of alpha, 0-255. */
function blockSums({ width, height, data }, factor, alphaOf) {
  const size = { width: Math.ceil(width / factor), height: Math.ceil(height / factor) };
  const counts = new Int32Array(size.width * size.height);
  const sums = new Int32Array(4 * counts.length);
  for (let row = 0, at = 0; row < height; row++) {
    let place = Math.floor(row / factor) * size.width;
    for (let left = 0; left < width; left += factor, place++) {
      const end = at + Math.min(factor, width - left);
      counts[place] += end - at;
      for (const to = 4 * place; at < end; at++) {
        const alpha = alphaOf(at);
        sums[to] += by255(data[4 * at] * alpha + 128);
        sums[to + 1] += by255(data[4 * at + 1] * alpha + 128);
        sums[to + 2] += by255(data[4 * at + 2] * alpha + 128);
        sums[to + 3] += alpha;
      }
    }
  }
  return { ...size, counts, sums };
}
