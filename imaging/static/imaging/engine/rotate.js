// Rotates rasters about their centre: quarter turns move every pixel unchanged, other angles are interpolated as Pillow does
// (libImaging/Geometry.c: bicubic, a = -1) with premultiplied alpha. See imaging/core/compose.py.

import { quarterTurns, radians, rotatedSize } from "../geometry.js";
import { by255 } from "./blend.js";
import { blank, words } from "./raster.js";

/** `raster` rotated counter-clockwise, on a transparent canvas. May change `raster`, or return it. */
export function rotate(raster, angle, expand) {
  const size = rotatedSize(raster, angle, expand);
  const turns = quarterTurns(angle);
  if (turns === null) return rotatedFreely(raster, angle, size);
  return turns === 0 ? raster : turned(raster, turns, size);
}

/** A raster after quarter turns (1-3), counter-clockwise, cropped and padded to `size` about its centre. */
export function turned(raster, turns, size = turns === 2 ? raster : { width: raster.height, height: raster.width }) {
  const result = blank(size);
  const [from, to] = [words(raster), words(result)];
  const { width, height } = raster;
  const [across, down] = turns === 2 ? [width, height] : [height, width];
  const [left, top] = [Math.floor((size.width - across) / 2), Math.floor((size.height - down) / 2)];
  // Where the pixel of the turned raster's first row and column comes from, and the steps to its neighbours.
  const [start, step, stride] = [[0, 0, 0], [width - 1, width, -1], [width * height - 1, -1, -width], [(height - 1) * width, -width, 1]][turns];
  for (let row = Math.max(0, -top); row < Math.min(down, size.height - top); row++) {
    const first = Math.max(0, -left);
    let source = start + row * stride + first * step;
    let target = (top + row) * size.width + left + first;
    for (let column = first; column < Math.min(across, size.width - left); column++, source += step) to[target++] = from[source];
  }
  return result;
}

/** The affine map from the centre of a pixel of the target to a point of the source, the centres coinciding. */
export function rotation(angle, source, target) {
  const [cos, sin] = [Math.cos(radians(angle)), Math.sin(radians(angle))];
  const [x, y] = [target.width / 2, target.height / 2];
  return { cos, sin, left: source.width / 2 - cos * x + sin * y, top: source.height / 2 - sin * x - cos * y };
}

function rotatedFreely(raster, angle, size) {
  premultiply(raster.data);
  const result = blank(size);
  const { cos, sin, left, top } = rotation(angle, raster, size);
  const taps = new Uint8ClampedArray(16 * 4);
  for (let row = 0, to = 0; row < size.height; row++) {
    for (let column = 0; column < size.width; column++, to += 4) {
      const x = cos * (column + 0.5) - sin * (row + 0.5) + left - 0.5;
      const y = sin * (column + 0.5) + cos * (row + 0.5) + top - 0.5;
      const [first, above] = [Math.floor(x) - 1, Math.floor(y) - 1];
      if (first < -3 || above < -3 || first >= raster.width || above >= raster.height) continue;
      if (first >= 0 && above >= 0 && first + 4 <= raster.width && above + 4 <= raster.height) {
        interpolate(raster.data, (above * raster.width + first) * 4, raster.width * 4, x - first - 1, y - above - 1, result.data, to);
      } else {
        gather(raster, first, above, taps);
        interpolate(taps, 0, 16, x - first - 1, y - above - 1, result.data, to);
      }
    }
  }
  return result;
}

/** Four by four pixels, transparent where there are none. */
function gather({ width, height, data }, first, above, taps) {
  for (let row = 0, to = 0; row < 4; row++) {
    for (let column = 0; column < 4; column++, to += 4) {
      const [x, y] = [first + column, above + row];
      const at = x >= 0 && y >= 0 && x < width && y < height ? (y * width + x) * 4 : -1;
      for (let band = 0; band < 4; band++) taps[to + band] = at < 0 ? 0 : data[at + band];
    }
  }
}

const across = new Float64Array(4);
const down = new Float64Array(4);

/** The pixel at a point between the second and third of four by four, whose first is at `at`. `x` and `y`: 0-1. */
function interpolate(data, at, stride, x, y, target, to) {
  if (isClear(data, at, stride)) return;
  setWeights(across, x);
  setWeights(down, y);
  const alpha = weighted(data, at + 3, stride);
  if (alpha === 0) return;
  for (let band = 0; band < 3; band++) {
    const value = weighted(data, at + band, stride);
    target[to + band] = alpha === 255 ? value : Math.trunc((255 * value) / alpha);
  }
  target[to + 3] = alpha;
}

/** What each of four values counts for `place` (0-1) between the second and the third. */
function setWeights(weights, place) {
  const square = place * place;
  const cube = square * place;
  weights[0] = 2 * square - place - cube;
  weights[1] = 1 - 2 * square + cube;
  weights[2] = place + square - cube;
  weights[3] = cube - square;
}

function weighted(data, at, stride) {
  let sum = 0;
  for (let row = 0; row < 4; row++, at += stride) {
    sum += down[row] * (across[0] * data[at] + across[1] * data[at + 4] + across[2] * data[at + 8] + across[3] * data[at + 12]);
  }
  // Pillow cuts decimals off. A millionth is floating-point error.
  return sum <= 0 ? 0 : sum >= 255 ? 255 : Math.trunc(sum + 1e-6);
}

/** Whether all sixteen pixels are transparent. */
function isClear(data, at, stride) {
  for (let line = at; line < at + 4 * stride; line += stride) {
    if (data[line + 3] | data[line + 7] | data[line + 11] | data[line + 15]) return false;
  }
  return true;
}

/** The value at `place` (0-1) between the second and the third of four. */
export function cubic(first, second, third, fourth, place) {
  const [line, square, cube] = [third - first, 2 * (first - second) + third - fourth, second - first - third + fourth];
  return second + place * (line + place * (square + place * cube));
}

function premultiply(data) {
  for (let at = 0; at < data.length; at += 4) {
    const alpha = data[at + 3];
    if (alpha === 255) continue;
    data[at] = by255(data[at] * alpha + 128);
    data[at + 1] = by255(data[at + 1] * alpha + 128);
    data[at + 2] = by255(data[at + 2] * alpha + 128);
  }
}
