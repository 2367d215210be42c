// Canvases for pixels: OffscreenCanvas in a worker, an element where a browser lacks it. Each browser limits their size differently.

import { blank, blankPlane } from "./raster.js";
import { Refusal } from "./refusal.js";

// Read at once: 4 MB.
const STRIP_PIXELS = 1 << 20;

const make = () => (typeof OffscreenCanvas === "undefined" ? document.createElement("canvas") : new OffscreenCanvas(1, 1));

/** A canvas of that size in pixels, with its context. Throws Refusal if the browser cannot hold it. */
export function makeSurface({ width, height }, create = make) {
  const canvas = create();
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (context === null || !canHold(context)) throw new Refusal("too_many_pixels", { width, height });
  context.imageSmoothingEnabled = true;
  context.imageSmoothingQuality = "high";
  return { canvas, context };
}

/** Free a canvas's or a bitmap's memory at once; some browsers keep it for a long time. */
export function release(image) {
  if (image.close) image.close();
  else image.width = image.height = 0;
}

/** The upright image in a file or blob, as an ImageBitmap. Throws Refusal if the browser cannot read it. */
export async function decode(blob) {
  try {
    return await createImageBitmap(blob, { imageOrientation: "from-image" });
  } catch {
    throw new Refusal("unreadable");
  }
}

/** The pixels of an image at its own size. */
export function rasterOf(image) {
  const { width, height } = image;
  const raster = blank({ width, height });
  eachStrip(image, raster, (pixels, top) => raster.data.set(pixels, top * width * 4));
  return raster;
}

/** The red of an image of grey, drawn at `size`, as a plane. */
export function planeOf(image, size) {
  const plane = blankPlane(size);
  eachStrip(image, size, (pixels, top) => {
    const to = plane.data.subarray(top * size.width);
    for (let at = 0; at < pixels.length; at += 4) to[at >> 2] = pixels[at];
  });
  return plane;
}

/** The alpha of an image, drawn at `size`, as a plane. */
export function alphaPlaneOf(image, size) {
  const plane = blankPlane(size);
  eachStrip(image, size, (pixels, top) => {
    const to = plane.data.subarray(top * size.width);
    for (let at = 3; at < pixels.length; at += 4) to[at >> 2] = pixels[at];
  });
  return plane;
}

/** `use(pixels, top)` gets `image`, drawn at `size`, strip by strip: a whole canvas would be another copy in memory. */
function eachStrip(image, { width, height }, use) {
  const rows = Math.max(1, Math.floor(STRIP_PIXELS / width));
  const { canvas, context } = makeSurface({ width, height: Math.min(rows, height) });
  const isWhole = image.width === width && image.height === height;
  context.imageSmoothingEnabled = !isWhole;
  for (let top = 0; top < height; top += rows) {
    const count = Math.min(rows, height - top);
    context.clearRect(0, 0, width, rows);
    context.drawImage(image, 0, -top, width, height);
    use(context.getImageData(0, 0, width, count).data, top);
  }
  release(canvas);
}

/** A raster on a canvas. The raster's memory is free to go then. */
export function surfaceOf(raster) {
  const made = makeSurface(raster);
  made.context.putImageData(new ImageData(raster.data, raster.width, raster.height), 0, 0);
  return made.canvas;
}

/** What a page can draw, and a worker can send without a copy. */
export function shown(canvas) {
  return canvas.transferToImageBitmap?.() ?? canvas;
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
