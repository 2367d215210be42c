// Resamples with premultiplied alpha, in two passes of whole numbers like Pillow's (libImaging/Resample.c), in strips.

import { by255 } from "./blend.js";

const PRECISION = 32 - 8 - 2;
const HALF = 1 << (PRECISION - 1);
// Rows of the first pass that are in memory at once: 4 MB.
const STRIP_PIXELS = 1 << 20;

const sinc = (x) => (x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI));
export const LANCZOS = { support: 3, weight: (x) => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0) };
export const BILINEAR = { support: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) };

/**
 * Resample the part `box` (fractions are allowed) of a raster to `size`; nothing outside of `within` (whole pixels) is read.
 *
 * `emit(row, pixels)` gets each row of straight RGBA, in an array that is used again.
 */
export function resample(raster, box, size, within, emit, filter = LANCZOS) {
  const across = weights(within[2] - within[0], box[0] - within[0], box[2] - within[0], size.width, filter);
  const down = weights(within[3] - within[1], box[1] - within[1], box[3] - within[1], size.height, filter);
  const rowsOf = (row) => [down.first[row], down.first[row] + down.counts[row]];
  const rowsAtOnce = Math.max(1, Math.floor(STRIP_PIXELS / size.width / Math.max(1, (box[3] - box[1]) / size.height)));
  const line = new Uint8ClampedArray((within[2] - within[0]) * 4);
  const sums = new Int32Array(size.width * 4);
  const pixels = new Uint8ClampedArray(size.width * 4);
  for (let top = 0; top < size.height; top += rowsAtOnce) {
    const bottom = Math.min(size.height, top + rowsAtOnce);
    const [start, end] = [rowsOf(top)[0], rowsOf(bottom - 1)[1]];
    const strip = new Uint8ClampedArray((end - start) * size.width * 4);
    const isClear = new Uint8Array(end - start);
    for (let row = start; row < end; row++) {
      const span = premultiply(raster, within, within[1] + row, line);
      isClear[row - start] = span === null ? 1 : 0;
      if (span === null) continue;
      const target = strip.subarray((row - start) * size.width * 4, (row - start + 1) * size.width * 4);
      if (across.isPlain) target.set(line.subarray(across.first[0] * 4, (across.first[0] + size.width) * 4));
      else resampleLine(line, span, across, target);
    }
    for (let row = top; row < bottom; row++) {
      joinLines(strip, start, isClear, down, row, sums);
      unpremultiply(sums, pixels);
      emit(row, pixels);
    }
  }
}

/** A plane resampled to `size` from the part `box`. */
export function resamplePlane(plane, box, size, filter = BILINEAR) {
  const across = weights(plane.width, box[0], box[2], size.width, filter);
  const down = weights(plane.height, box[1], box[3], size.height, filter);
  const [start, end] = [down.first[0], down.first[size.height - 1] + down.counts[size.height - 1]];
  const strip = new Uint8ClampedArray((end - start) * size.width);
  for (let row = start; row < end; row++) {
    const line = plane.data.subarray(row * plane.width, (row + 1) * plane.width);
    resampleGrey(line, across, strip.subarray((row - start) * size.width, (row - start + 1) * size.width));
  }
  const sums = new Int32Array(size.width);
  const data = new Uint8ClampedArray(size.width * size.height);
  const isClear = new Uint8Array(end - start);
  for (let row = 0; row < size.height; row++) {
    joinLines(strip, start, isClear, down, row, sums);
    for (let at = 0; at < size.width; at++) data[row * size.width + at] = sums[at] >> PRECISION;
  }
  return { ...size, data };
}

/** For each pixel of the result the first one of the source that counts, how many do, and their weights. */
function weights(length, from, to, size, { support, weight }) {
  // Pillow's boxes have single precision.
  const [start, end] = [Math.fround(from), Math.fround(to)];
  const scale = Math.fround(end - start) / size;
  const stretch = Math.max(1, scale);
  const reach = support * stretch;
  const most = Math.ceil(reach) * 2 + 1;
  const [first, counts, values] = [new Int32Array(size), new Int32Array(size), new Int32Array(size * most)];
  const found = new Float64Array(most);
  for (let at = 0; at < size; at++) {
    const centre = start + (at + 0.5) * scale;
    first[at] = Math.max(0, Math.trunc(centre - reach + 0.5));
    counts[at] = Math.min(length, Math.trunc(centre + reach + 0.5)) - first[at];
    let total = 0;
    for (let tap = 0; tap < counts[at]; tap++) total += found[tap] = weight((tap + first[at] - centre + 0.5) / stretch);
    for (let tap = 0; tap < counts[at]; tap++) values[at * most + tap] = whole((found[tap] / total) * (1 << PRECISION));
  }
  if (scale !== 1 || !Number.isInteger(start)) return { first, counts, values, most, isPlain: false };
  return plain(size, start);
}

/** Each pixel is one of the source. */
function plain(size, start) {
  const [counts, values] = [new Int32Array(size).fill(1), new Int32Array(size).fill(1 << PRECISION)];
  return { first: Int32Array.from({ length: size }, (_, at) => start + at), counts, values, most: 1, isPlain: true };
}

// As C rounds.
function whole(value) {
  return Math.trunc(value < 0 ? value - 0.5 : value + 0.5);
}

/** Read a row into `line`. Returns its first and last pixel that is not transparent, null without any. */
function premultiply({ width, data }, within, row, line) {
  const start = (row * width + within[0]) * 4;
  let first = -1;
  let last = -1;
  for (let to = 0, at = start; to < line.length; to += 4, at += 4) {
    const alpha = data[at + 3];
    if (alpha) {
      if (first < 0) first = to >> 2;
      last = to >> 2;
    }
    if (alpha === 255) {
      line[to] = data[at];
      line[to + 1] = data[at + 1];
      line[to + 2] = data[at + 2];
    } else {
      line[to] = by255(data[at] * alpha + 128);
      line[to + 1] = by255(data[at + 1] * alpha + 128);
      line[to + 2] = by255(data[at + 2] * alpha + 128);
    }
    line[to + 3] = alpha;
  }
  return first < 0 ? null : [first, last];
}

function resampleLine(line, [start, stop], { first, counts, values, most }, target) {
  for (let column = 0; column < first.length; column++) {
    if (first[column] > stop || first[column] + counts[column] <= start) continue;
    let red = HALF;
    let green = HALF;
    let blue = HALF;
    let alpha = HALF;
    let at = first[column] * 4;
    const end = column * most + counts[column];
    for (let tap = column * most; tap < end; tap++, at += 4) {
      const value = values[tap];
      red += Math.imul(value, line[at]);
      green += Math.imul(value, line[at + 1]);
      blue += Math.imul(value, line[at + 2]);
      alpha += Math.imul(value, line[at + 3]);
    }
    const to = column * 4;
    target[to] = red >> PRECISION;
    target[to + 1] = green >> PRECISION;
    target[to + 2] = blue >> PRECISION;
    target[to + 3] = alpha >> PRECISION;
  }
}

function resampleGrey(line, { first, counts, values, most }, target) {
  for (let column = 0; column < first.length; column++) {
    let grey = HALF;
    for (let tap = 0; tap < counts[column]; tap++) grey += Math.imul(values[column * most + tap], line[first[column] + tap]);
    target[column] = grey >> PRECISION;
  }
}

/** The weighted sums of the lines of `strip` (from the row `start` on) that make up a row of the result, into `sums`. */
function joinLines(strip, start, isClear, { first, counts, values, most }, row, sums) {
  const length = sums.length;
  const lines = [];
  for (let tap = 0; tap < counts[row]; tap++) {
    const line = first[row] + tap - start;
    if (!isClear[line]) lines.push([values[row * most + tap], line * length]);
  }
  sums.fill(HALF);
  // Four at once, which is twice as fast as one by one.
  while (lines.length % 4) lines.push([0, 0]);
  for (let at = 0; at < lines.length; at += 4) addLines(strip, lines.slice(at, at + 4), sums);
}

function addLines(strip, [[one, first], [two, second], [three, third], [four, fourth]], sums) {
  const length = sums.length;
  for (let at = 0; at < length; at++) {
    sums[at] +=
      Math.imul(one, strip[first + at]) + Math.imul(two, strip[second + at]) + Math.imul(three, strip[third + at]) + Math.imul(four, strip[fourth + at]);
  }
}

function unpremultiply(sums, pixels) {
  for (let at = 0; at < pixels.length; at += 4) {
    const alpha = Math.min(255, Math.max(0, sums[at + 3] >> PRECISION));
    for (let band = at; band < at + 3; band++) {
      const value = sums[band] >> PRECISION;
      pixels[band] = alpha === 255 || alpha === 0 ? value : Math.trunc((255 * Math.max(0, Math.min(255, value))) / alpha);
    }
    pixels[at + 3] = alpha;
  }
}
