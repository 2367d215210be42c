// From pixels and matte to the finished image: the order of all steps, as in imaging/core/finishing/finish.py.
//
// Canvases are sRGB, like CSS colours: an image with another profile is converted when it is decoded, and the resulting file
// needs no profile. (The API keeps the profile instead, and converts colours to it.)

import { MAX_SIDE } from "../geometry.js";
import { arrange } from "./arranging.js";
import { layOnImage } from "./backdrop.js";
import { fillBehind } from "./blend.js";
import { place } from "./placement.js";
import { findSubject, instead, showAlpha } from "./raster.js";
import { Refusal } from "./refusal.js";
import { rotate } from "./rotate.js";
import { addShadow } from "./shadow.js";

const WHITE = [255, 255, 255, 255];
const FORMATS_WITHOUT_ALPHA = ["jpeg", "bmp"];

/**
 * Finish a cutout as `plan` has it (see values.js). Returns a raster; `cutout` cannot be used afterwards.
 *
 * `makeBackdrop(canvas)` returns the raster behind the subject, or is null. `placement` is one that is known already, in pixels
 * of the rotated cutout (fractions are allowed); lengths of the shadow in px are times `scale`.
 */
export async function finish(cutout, plan, { makeBackdrop = null, placement = null, scale = 1 } = {}) {
  const rotated = instead(cutout, rotate(cutout, plan.angle, plan.expand));
  const placed = placement ?? placedWhole(rotated, findSubject(rotated), plan);
  const result = instead(rotated, arrange(rotated, placed));
  if (plan.mask) {
    showAlpha(result);
    return result;
  }
  addShadow(result, plan.shadow, scale);
  if (makeBackdrop) layOnImage(result, await makeBackdrop(result));
  for (const colour of coloursBehind(plan, makeBackdrop !== null)) fillBehind(result, colour);
  return result;
}

/** The placement of a rotated image of size `image`. Throws Refusal if a side would be too long. */
export function placedWhole(image, subject, plan) {
  const placed = place(image, subject, plan);
  // A rotation alone may pass MAX_SIDE.
  const most = plan.crop ? Math.max(MAX_SIDE, image.width, image.height) : Number.POSITIVE_INFINITY;
  const { width, height } = placed.canvas;
  const isOneGiven = (plan.w === null) !== (plan.h === null);
  if (Math.max(width, height) > (isOneGiven ? MAX_SIDE : most)) throw new Refusal("too_long", { width, height });
  return placed;
}

/** The colours behind the cutout, the nearest first. */
function coloursBehind({ colour, format }, hasImage) {
  const layers = colour === null || hasImage ? [] : [colour];
  return FORMATS_WITHOUT_ALPHA.includes(format) ? [...layers, WHITE] : layers;
}
