// From a canvas to the bytes of a file.

import { PictureError } from "./canvas.js";

export const NAMES = { webp: "WebP", png: "PNG", jpeg: "JPEG", bmp: "BMP" };

// Browsers store the colours of JPEG at half the resolution, unlike the API: a higher quality makes up for some of it.
const QUALITY = { jpeg: 0.95, webp: 0.95 };
const BMP_HEADER_BYTES = 54;

/** A canvas as a file in a format of NAMES, each also the extension. Throws PictureError if the browser cannot write it. */
export async function encode(canvas, format) {
  if (format === "bmp") return encodeBmp(canvas);
  const blob = await new Promise((done) => canvas.toBlob(done, `image/${format}`, QUALITY[format]));
  // A browser that does not know a format writes PNG instead.
  if (blob?.type !== `image/${format}`) throw new PictureError(cannotWrite(format));
  return blob;
}

/** Whether this browser can write WebP. */
export async function canWriteWebp() {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 1;
  const blob = await new Promise((done) => canvas.toBlob(done, "image/webp"));
  return blob?.type === "image/webp";
}

function cannotWrite(format) {
  const text = gettext("This browser cannot write this picture as %(format)s. Choose PNG, or a smaller size.");
  return interpolate(text, { format: NAMES[format] }, true);
}

/** A Windows bitmap: 24 bits a pixel, blue first, the lowest row first, each row padded to a multiple of four bytes. */
function encodeBmp(canvas) {
  const { width, height } = canvas;
  const rowBytes = Math.ceil((width * 3) / 4) * 4;
  const file = new Uint8Array(BMP_HEADER_BYTES + rowBytes * height);
  writeBmpHeader(new DataView(file.buffer), width, height);
  const context = canvas.getContext("2d");
  for (let row = 0; row < height; row++) {
    const pixels = context.getImageData(0, row, width, 1).data;
    writeBmpRow(pixels, file, BMP_HEADER_BYTES + (height - 1 - row) * rowBytes);
  }
  return new Blob([file], { type: "image/bmp" });
}

function writeBmpHeader(view, width, height) {
  view.setUint16(0, 0x424d);
  const little = [[2, view.byteLength], [10, BMP_HEADER_BYTES], [14, 40], [18, width], [22, height], [34, view.byteLength - BMP_HEADER_BYTES]];
  for (const [at, value] of little) view.setUint32(at, value, true);
  view.setUint16(26, 1, true);
  view.setUint16(28, 24, true);
}

function writeBmpRow(pixels, file, at) {
  for (let from = 0; from < pixels.length; from += 4, at += 3) {
    file[at] = pixels[from + 2];
    file[at + 1] = pixels[from + 1];
    file[at + 2] = pixels[from];
  }
}
