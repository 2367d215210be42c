// JPEG encoders in a worker, which bench_jpeg.py calls: the editor's, two libraries with several settings, and the browser's.

import { jpegFile } from "../../imaging/static/imaging/engine/jpeg.js";
import { release, surfaceOf } from "../../imaging/static/imaging/engine/surfaces.js";

const PACKAGES = new URL("../../frontend/node_modules/", import.meta.url);
// Colours at full resolution, as in the API's files.
const FULL_COLOUR = { auto_subsample: false, chroma_subsample: 1 };
// And libjpeg's tables. The package has no switch for mozjpeg's trellis quantisation.
const BASELINE = { ...FULL_COLOUR, baseline: true, progressive: false, optimize_coding: false, quant_table: 0 };
const OPTIMISED = { ...BASELINE, optimize_coding: true };
const SPLIT = { ...BASELINE, trellis_multipass: true };

// Each loads what it needs, and returns a function of a raster and a quality (1-100) that returns a Blob or a promise of one.
const ENCODERS = {
  ours: () => (pixels, quality) => jpegFile(pixels, quality, null),
  "jpeg-js": loadJpegJs,
  "mozjpeg, baseline": () => loadMozjpeg(BASELINE),
  "mozjpeg, baseline, optimised codes": () => loadMozjpeg(OPTIMISED),
  "mozjpeg, baseline, trellis split over scans": () => loadMozjpeg(SPLIT),
  "mozjpeg, its defaults": () => loadMozjpeg(FULL_COLOUR),
  "the browser's": () => canvasFile,
};

let raster, encoder, file;

/** Fetch raw RGBA, which is encoded from now on. What fetching leaves behind is freed at once, because memory is measured next. */
export async function take(address, width, height) {
  raster = { data: new Uint8ClampedArray(await (await fetch(address)).arrayBuffer()), width, height };
  globalThis.gc();
}

/** Encode with the encoder of that name, the only one of this worker. Returns the milliseconds, without those for loading it. */
export async function encode(name, quality) {
  encoder ??= await ENCODERS[name]();
  const began = performance.now();
  file = await encoder(raster, quality);
  return performance.now() - began;
}

/** The file that was written last, in base64. */
export async function written() {
  let text = "";
  for (const byte of new Uint8Array(await file.arrayBuffer())) text += String.fromCharCode(byte);
  return btoa(text);
}

// CommonJS, which a worker's `import` does not know.
async function loadJpegJs() {
  const code = await (await fetch(new URL("jpeg-js/lib/encoder.js", PACKAGES))).text();
  const write = new Function(`${code}; return encode;`)();
  return (pixels, quality) => new Blob([write(pixels, quality).data]);
}

async function loadMozjpeg(settings) {
  const { default: write, init } = await import(new URL("@jsquash/jpeg/encode.js", PACKAGES));
  await init();
  return async (pixels, quality) => new Blob([await write(pixels, { ...settings, quality })]);
}

async function canvasFile(pixels, quality) {
  const canvas = surfaceOf(pixels);
  const blob = await canvas.convertToBlob({ type: "image/jpeg", quality: quality / 100 });
  release(canvas);
  return blob;
}
