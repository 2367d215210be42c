// Sizes: what each step does to an image's width and height, in pixels. The same arithmetic as the API's.

export const MAX_SIDE = 10000;

/** `angle` degrees as counter-clockwise quarter turns (0-3); null if it is not a multiple of 90. */
export function quarterTurns(angle) {
  return angle % 90 === 0 ? (((angle / 90) % 4) + 4) % 4 : null;
}

/** The canvas after a rotation: the bounding box if `expand`, else unchanged. */
export function rotatedSize({ width, height }, angle, expand) {
  const turns = quarterTurns(angle);
  if (!expand || turns === 0 || turns === 2) return { width, height };
  if (turns !== null) return { width: height, height: width };
  const cos = Math.abs(Math.cos(radians(angle)));
  const sin = Math.abs(Math.sin(radians(angle)));
  return { width: roundedUp(width * cos + height * sin), height: roundedUp(width * sin + height * cos) };
}

/** `size` scaled to `w` and `h` (null: unset): within both with its aspect ratio kept, or exactly them. */
export function fittedSize(size, w, h, exact) {
  if (w === null && h === null) return size;
  if (w !== null && h !== null) {
    if (exact) return { width: w, height: h };
    if (w * size.height <= h * size.width) h = null;
    else w = null;
  }
  if (w !== null) return { width: w, height: scaled(size.height, w, size.width) };
  return { width: scaled(size.width, h, size.height), height: h };
}

/** The size of the delivered image for an upright one: rotated, then resized. Not of one that is cropped to its subject. */
export function deliveredSize(size, options) {
  if (options.fit === "pad" && options.w && options.h) return { width: options.w, height: options.h };
  return fittedSize(rotatedSize(size, options.angle, options.expand), options.w, options.h, options.fit === "exact");
}

/** `size` scaled down, if necessary, so that no side is longer than `longest`. */
export function limitedSize(size, longest) {
  const scale = Math.min(1, longest / Math.max(size.width, size.height));
  const side = (length) => Math.max(1, Math.round(length * scale));
  return { width: side(size.width), height: side(size.height) };
}

export function radians(angle) {
  return (angle * Math.PI) / 180;
}

// A millionth of a pixel is floating-point error, not image.
function roundedUp(length) {
  return Math.max(1, Math.ceil(length - 1e-6));
}

function scaled(length, numerator, denominator) {
  return Math.max(1, Math.floor((2 * length * numerator + denominator) / (2 * denominator)));
}
