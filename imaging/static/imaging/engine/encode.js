// From a raster to the bytes of a file.

import { jpegFile } from "./jpeg.js";
import { discard } from "./raster.js";
import { Refusal } from "./refusal.js";
import { release, surfaceOf } from "./surfaces.js";
import { webpFile } from "./webp.js";

// The API's.
const QUALITY = { jpeg: 90, webp: 85 };
const BMP_HEADER_BYTES = 54;
const METRES_PER_INCH = 0.0254;
// 96 dpi, which bitmaps have usually.
const SCREEN_PER_METRE = 3780;
// PNG: signature and IHDR. Resolution belongs behind them.
const PNG_START = 33;

/**
 * A raster as a file of webp, png, jpeg or bmp, opaque for the last two. Throws Refusal if the browser cannot write it. The raster
 * cannot be used afterwards.
 */
export async function encode(raster, { format, quality = null, dpi = null, mask = false }) {
  if (format === "bmp") return bitmapFile(raster);
  if (format === "jpeg") return jpegFile(raster, quality ?? QUALITY.jpeg, dpi);
  if (format === "webp") return webpFile(raster, quality ?? QUALITY.webp, mask);
  const canvas = surfaceOf(raster);
  // The canvas has a copy.
  discard(raster);
  try {
    const png = await pngOf(canvas);
    if (png === null) throw new Refusal("cannot_write", { format });
    return dpi ? withResolution(png, dpi) : png;
  } finally {
    release(canvas);
  }
}

function pngOf(canvas) {
  if (canvas.convertToBlob) return canvas.convertToBlob().catch(() => null);
  return new Promise((done) => canvas.toBlob(done));
}

function withResolution(png, dpi) {
  return new Blob([png.slice(0, PNG_START), physicalChunk(dpi), png.slice(PNG_START)], { type: png.type });
}

/** PNG's pHYs: pixels per metre, the same across and down. */
function physicalChunk(dpi) {
  const view = new DataView(new ArrayBuffer(21));
  const perMetre = Math.round(dpi / METRES_PER_INCH);
  [9, 0x70485973, perMetre, perMetre].forEach((value, at) => view.setUint32(4 * at, value));
  view.setUint8(16, 1);
  view.setUint32(17, checksum(new Uint8Array(view.buffer, 4, 13)));
  return view;
}

/** CRC-32, as PNG has it. */
function checksum(bytes) {
  let rest = 0xffffffff;
  for (const byte of bytes) {
    rest ^= byte;
    for (let bit = 0; bit < 8; bit++) rest = rest & 1 ? (rest >>> 1) ^ 0xedb88320 : rest >>> 1;
  }
  return ~rest >>> 0;
}

/** A Windows bitmap: 24 bits a pixel, blue first, the lowest row first, each row padded to a multiple of four bytes. */
function bitmapFile({ width, height, data }) {
  const rowBytes = Math.ceil((width * 3) / 4) * 4;
  const file = new Uint8Array(BMP_HEADER_BYTES + rowBytes * height);
  writeBmpHeader(new DataView(file.buffer), width, height);
  for (let row = 0, from = 0; row < height; row++) {
    let at = BMP_HEADER_BYTES + (height - 1 - row) * rowBytes;
    for (let column = 0; column < width; column++, from += 4, at += 3) {
      file[at] = data[from + 2];
      file[at + 1] = data[from + 1];
      file[at + 2] = data[from];
    }
  }
  return new Blob([file], { type: "image/bmp" });
}

function writeBmpHeader(view, width, height) {
  view.setUint16(0, 0x424d);
  const little = [[2, view.byteLength], [10, BMP_HEADER_BYTES], [14, 40], [18, width], [22, height], [34, view.byteLength - BMP_HEADER_BYTES]];
  for (const [at, value] of [...little, [38, SCREEN_PER_METRE], [42, SCREEN_PER_METRE]]) view.setUint32(at, value, true);
  view.setUint16(26, 1, true);
  view.setUint16(28, 24, true);
}
