// Writes WebP with libwebp in WebAssembly, at the API's settings: a browser's own encoder loses other colours, and Safari has none.

import { canWriteWebp } from "../encoders.js";
import { alphaOf, words } from "./raster.js";
import { Refusal } from "./refusal.js";

// The highest quality and the method of each try, as in imaging/core/codecs/webp_writer.py.
const TRIES = [[100, 1], [100, 2], [50, 2]];
// Method 1 may need more than the format allows for how blocks are predicted.
const DETAILED_PIXELS = 30_000_000;
// VP8's macroblock, in pixels.
const BLOCK = 16;

const ALPHA_FLAG = 0x10;

let opened = null;

/** A raster as a WebP file with lossless alpha; a grey one is lossless as a whole. `quality` is 1-100. May change the raster. */
export async function webpFile(raster, quality, isGrey) {
  if (!canWriteWebp()) throw new Refusal("cannot_write", { format: "webp" });
  const libwebp = await openEncoder();
  const alpha = alphaOf(raster).data;
  const isOpaque = alpha.every((value) => value === 255);
  try {
    const parts = isOpaque ? [encoded(libwebp, raster, { quality, lossless: isGrey ? 1 : 0 })] : withAlpha(libwebp, raster, alpha, quality);
    return new Blob(parts, { type: "image/webp" });
  } catch (error) {
    // It may have no memory left.
    opened = null;
    throw error;
  }
}

/** The parts of the file of an image that is not opaque. Colours and alpha are encoded apart, as the API does. */
function withAlpha(libwebp, raster, alpha, quality) {
  const pixels = words(raster);
  spreadColours(raster);
  for (let at = 0; at < pixels.length; at++) pixels[at] |= 0xff000000;
  const colours = chunkOf(encoded(libwebp, raster, { quality }), "VP8 ");
  // Without colours libwebp takes little more than for alpha.
  for (let at = 0; at < pixels.length; at++) pixels[at] = alpha[at] << 24;
  const chunks = [extendedHeader(raster), chunkOf(encoded(libwebp, raster, { quality }), "ALPH"), colours];
  const start = new DataView(new ArrayBuffer(12));
  start.setUint32(0, 0x52494646);
  start.setUint32(4, chunks.reduce((sum, { byteLength }) => sum + byteLength, 4), true);
  start.setUint32(8, 0x57454250);
  return [start, ...chunks];
}

/** The chunk of a name in a file, with its header and its padding. */
function chunkOf(file, name) {
  const view = new DataView(file.buffer);
  for (let at = 12; ; ) {
    const end = at + 8 + view.getUint32(at + 4, true);
    if (String.fromCharCode(...file.subarray(at, at + 4)) === name) return file.subarray(at, end + (end & 1));
    at = end + (end & 1);
  }
}

function extendedHeader({ width, height }) {
  const view = new DataView(new ArrayBuffer(18));
  view.setUint32(0, 0x56503858);
  view.setUint32(4, 10, true);
  view.setUint32(8, ALPHA_FLAG, true);
  view.setUint32(12, width - 1, true);
  // Three bytes each; the height covers the fourth of the width.
  view.setUint16(15, (height - 1) & 0xffff, true);
  return view;
}

/** libwebp's file of a raster. Throws Refusal. */
function encoded({ encode, defaultOptions }, { width, height, data }, options) {
  for (const [most, method] of TRIES.slice(width * height < DETAILED_PIXELS ? 0 : 1)) {
    const file = encode(data, width, height, { ...defaultOptions, ...options, quality: Math.min(options.quality, most), method });
    if (file) return file;
  }
  throw new Refusal("cannot_write", { format: "webp" });
}

/**
 * `{encode, defaultOptions}` of libwebp. Its memory never shrinks, and goes with its instance only. A worker keeps one for its next
 * files, and ends when it is idle: new ones would add up until the browser collects them. A page, which stays, takes a new one.
 */
async function openEncoder() {
  if (typeof document !== "undefined") return start();
  opened ??= start().catch((error) => {
    opened = null;
    throw error;
  });
  return opened;
}

async function start() {
  try {
    const [{ default: libwebp }, { defaultOptions }, module] = await Promise.all([
      // biome-ignore lint/correctness/noUnresolvedImports: the static files of all apps are served from one folder.
      import("../../vendor/webp_enc_simd.js"),
      // biome-ignore lint/correctness/noUnresolvedImports: the same.
      import("../../vendor/webp_defaults.js"),
      WebAssembly.compileStreaming(fetch(new URL("../../vendor/webp_enc_simd.wasm", import.meta.url))),
    ]);
    const instantiateWasm = (imports, done) => done(new WebAssembly.Instance(module, imports));
    const { encode } = await libwebp({ instantiateWasm });
    return { encode, defaultOptions };
  } catch (error) {
    console.warn(error);
    throw new Refusal("failed");
  }
}

/**
 * Give transparent pixels the mean colour of their macroblock's visible ones, weighted by alpha; wholly transparent macroblocks
 * become black. Blocks are coded as a whole, and colours at half the resolution: what is behind the edge would bleed into it.
 */
function spreadColours({ width, height, data }) {
  const pixels = words({ data });
  for (let top = 0; top < height; top += BLOCK) {
    const bottom = Math.min(height, top + BLOCK);
    for (let left = 0; left < width; left += BLOCK) {
      const right = Math.min(width, left + BLOCK);
      const hidden = [];
      let [red, green, blue, weight] = [0, 0, 0, 0];
      for (let row = top; row < bottom; row++) {
        for (let at = row * width + left; at < row * width + right; at++) {
          const alpha = data[4 * at + 3];
          if (alpha === 0) hidden.push(at);
          red += alpha * data[4 * at];
          green += alpha * data[4 * at + 1];
          blue += alpha * data[4 * at + 2];
          weight += alpha;
        }
      }
      if (hidden.length === 0) continue;
      const mean = (sum) => Math.floor(sum / weight + 0.5);
      const colour = weight && (mean(blue) << 16) | (mean(green) << 8) | mean(red);
      for (const at of hidden) pixels[at] = colour;
    }
  }
}
