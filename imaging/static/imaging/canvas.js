// Canvases, and the one error they can cause: each browser limits a canvas's size differently.

export class PictureError extends Error {}

/** A canvas of that size in pixels, with its context. Throws PictureError if the browser cannot hold it. */
export function makeCanvas({ width, height }) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (context === null || !canHold(context)) throw tooLarge(width, height);
  context.imageSmoothingEnabled = true;
  context.imageSmoothingQuality = "high";
  return { canvas, context };
}

/** Free a canvas's memory at once; some browsers keep it for a long time. */
export function release(canvas) {
  canvas.width = canvas.height = 0;
}

/** The upright image in a file or blob. Throws PictureError if the browser cannot read it. */
export async function decode(blob) {
  try {
    return await createImageBitmap(blob, { imageOrientation: "from-image" });
  } catch {
    throw new PictureError(errorHints.invalid_image.text);
  }
}

// A canvas that is too large is created without an error, but stays empty.
function canHold(context) {
  try {
    context.fillRect(0, 0, 1, 1);
    const holds = context.getImageData(0, 0, 1, 1).data[3] === 255;
    context.clearRect(0, 0, 1, 1);
    return holds;
  } catch {
    return false;
  }
}

function tooLarge(width, height) {
  const text = gettext("%(width)s × %(height)s pixels are too many for this browser. Choose a smaller size, or use the API.");
  return new PictureError(interpolate(text, { width, height }, true));
}
