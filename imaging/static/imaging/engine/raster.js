// Pixels in memory. A raster is {width, height, data}: straight RGBA, four bytes a pixel; a plane has one byte a pixel.

// 4 % of 255. Fainter alpha, which mattes have far from any subject, does not count.
const VISIBLE_ALPHA = 10;

/** A transparent raster. */
export function blank({ width, height }) {
  return { width, height, data: new Uint8ClampedArray(width * height * 4) };
}

/** A plane of zeros. */
export function blankPlane({ width, height }) {
  return { width, height, data: new Uint8ClampedArray(width * height) };
}

/** Free the pixels of a raster at once; browsers without `transfer` do so when they collect garbage. It cannot be used afterwards. */
export function discard(raster) {
  raster.data.buffer.transfer?.(0);
  raster.data = null;
}

/** Discard `raster`, unless `next` has the same pixels. Returns `next`. */
export function instead(raster, next) {
  if (next.data !== raster.data) discard(raster);
  return next;
}

/** The pixels of a raster as numbers of four bytes. */
export function words({ data }) {
  return new Uint32Array(data.buffer, data.byteOffset, data.length / 4);
}

/** The box [left, top, right, bottom] of all pixels of a raster or plane that are visible; null without any. */
export function findSubject(image) {
  const { width, height, data } = image;
  const bands = data.length / (width * height);
  let [left, top, right, bottom] = [width, -1, 0, 0];
  for (let row = 0, at = bands - 1; row < height; row++) {
    let first = -1;
    let last = -1;
    for (let column = 0; column < width; column++, at += bands) {
      if (data[at] < VISIBLE_ALPHA) continue;
      if (first < 0) first = column;
      last = column;
    }
    if (first < 0) continue;
    if (top < 0) top = row;
    bottom = row + 1;
    left = Math.min(left, first);
    right = Math.max(right, last + 1);
  }
  return top < 0 ? null : [left, top, right, bottom];
}

/** The alpha of a raster as a plane. */
export function alphaOf({ width, height, data }) {
  const plane = blankPlane({ width, height });
  for (let at = 0; at < plane.data.length; at++) plane.data[at] = data[4 * at + 3];
  return plane;
}

/** Give a raster the alpha of a plane of its size, in place. */
export function applyAlpha({ data }, plane) {
  for (let at = 0; at < plane.data.length; at++) data[4 * at + 3] = plane.data[at];
}

/** Turn a raster into its own alpha in grey, opaque, in place. */
export function showAlpha({ data }) {
  for (let at = 0; at < data.length; at += 4) {
    data[at] = data[at + 1] = data[at + 2] = data[at + 3];
    data[at + 3] = 255;
  }
}

/** The nearest whole number; of two the even one, as Python rounds. */
export function halfEven(value) {
  const floor = Math.floor(value);
  if (value - floor !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}
