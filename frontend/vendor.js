// Copies the modules that the pages import, as their makers ship them, with version and licence on top.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";

const MODULES = {
  "client-zip": { files: { "index.js": "client-zip.js", "LICENSE.txt": "client-zip.LICENSE.txt" }, license: "client-zip.LICENSE.txt" },
  // The encoder alone. libwebp, which is compiled into it, has its own licence.
  "@jsquash/webp": {
    files: {
      "codec/enc/webp_enc_simd.js": "webp_enc_simd.js",
      "codec/enc/webp_enc_simd.wasm": "webp_enc_simd.wasm",
      "meta.js": "webp_defaults.js",
      LICENSE: "webp_enc.LICENSE.txt",
      "codec/LICENSE.codec.md": "webp_enc.libwebp.LICENSE.txt",
    },
    license: "webp_enc.LICENSE.txt and, for libwebp, webp_enc.libwebp.LICENSE.txt",
  },
};

const target = new URL("../config/static/vendor/", import.meta.url);
mkdirSync(target, { recursive: true });

for (const [name, { files, license: texts }] of Object.entries(MODULES)) {
  const folder = new URL(`node_modules/${name}/`, import.meta.url);
  const { version, license } = JSON.parse(readFileSync(new URL("package.json", folder)));
  for (const [from, to] of Object.entries(files)) {
    const content = readFileSync(new URL(from, folder));
    const head = `/* ${name} ${version}, ${license}: see ${texts} */\n`;
    writeFileSync(new URL(to, target), to.endsWith(".js") ? `${head}${content.toString().trimEnd()}\n` : content);
  }
}
