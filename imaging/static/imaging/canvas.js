// Canvases of the page, and the sentences for what a browser cannot do with an image.

import { decode as open, makeSurface } from "./engine/surfaces.js";
import { Refusal } from "./engine/refusal.js";
import { NAMES } from "./encoders.js";

export class PictureError extends Error {}

/** A canvas of that size in pixels, with its context. Throws PictureError if the browser cannot hold it. */
export function makeCanvas(size) {
  return explaining(() => makeSurface(size, () => document.createElement("canvas")));
}

/** Free a canvas's memory at once; some browsers keep it for a long time. */
export function release(canvas) {
  canvas.width = canvas.height = 0;
}

/** The upright image in a file or blob. Throws PictureError if the browser cannot read it. */
export async function decode(blob) {
  return open(blob).catch(fail);
}

/** Throw a Refusal as a PictureError, with a sentence for a person. */
export function fail(error) {
  throw error instanceof Refusal ? new PictureError(sentence(error), { cause: error }) : error;
}

function explaining(work) {
  try {
    return work();
  } catch (error) {
    return fail(error);
  }
}

function sentence({ code, facts }) {
  const texts = {
    unreadable: () => errorHints.invalid_image.text,
    too_many_pixels: () => gettext("%(width)s × %(height)s pixels are too many for this browser. Choose a smaller size, or use the API."),
    too_little_memory: () => gettext("This picture needs more memory than this browser has. Choose a smaller size, or use the API."),
    too_long: () => gettext("This size would make the picture %(width)s × %(height)s pixels; at most 10,000 per side are possible."),
    cannot_write: () => gettext("This browser cannot write this picture as %(format)s. Choose PNG, or a smaller size."),
    invalid_value: () => gettext("“%(value)s” is not possible here."),
    missing_size: () => gettext("A canvas needs a width and a height."),
    no_room: () => gettext("These margins leave no room for the picture."),
    failed: () => gettext("This browser could not draw the picture. Reload the page, then try again."),
  };
  return interpolate(texts[code](), { ...facts, format: NAMES[facts.format] }, true);
}
