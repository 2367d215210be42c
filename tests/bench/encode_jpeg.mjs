// Encodes raw RGBA of argv's file, width and height with two encoders in turn: see bench_jpeg.py. Prints JSON.

import { readFileSync, writeFileSync } from "node:fs";
import { jpegFile } from "../../imaging/static/imaging/engine/jpeg.js";

const [file, width, height, rounds] = process.argv.slice(2);
const quality = 90;
const library = new URL("../../frontend/node_modules/@jsquash/jpeg/", import.meta.url);
const { default: encode, init } = await import(new URL("encode.js", library));
await init(await WebAssembly.compile(readFileSync(new URL("codec/enc/mozjpeg_enc.wasm", library))));

const raster = { data: new Uint8ClampedArray(readFileSync(file)), width: Number(width), height: Number(height) };
const full = { quality, auto_subsample: false, chroma_subsample: 1 };
const encoders = {
  ours: () => jpegFile(raster, quality, null).arrayBuffer(),
  mozjpeg: () => encode(raster, { ...full, baseline: true, progressive: false, quant_table: 0, optimize_coding: false }),
  "mozjpeg, its defaults": () => encode(raster, full),
};
const milliseconds = Object.fromEntries(Object.keys(encoders).map((name) => [name, []]));
for (let round = 0; round < Number(rounds); round++) {
  for (const [name, run] of Object.entries(encoders)) {
    const began = performance.now();
    const bytes = await run();
    milliseconds[name].push(performance.now() - began);
    writeFileSync(`${file}.${name}.jpg`, new Uint8Array(bytes));
  }
}
console.log(JSON.stringify(milliseconds));
