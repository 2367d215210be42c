// Calls the unmodified official client, its one hard-coded address redirected to our server, and prints one JSON object
// per case. Usage: node official_client.mjs SERVER KEY PHOTO
import fs from "node:fs";
import { createRequire } from "node:module";
import { rembg } from "@remove-background-ai/rembg.js";

// The instance that the client itself uses: it is CommonJS, and `import` would give us another one.
const axios = createRequire(import.meta.url)("axios");
const [server, apiKey, photo] = process.argv.slice(2);
const OFFICIAL = "https://api.rembg.com";

axios.interceptors.request.use((config) => {
  if (!config.url.startsWith(OFFICIAL)) throw new Error(`unexpected address ${config.url}`);
  config.url = server + config.url.slice(OFFICIAL.length);
  return config;
});

const bytes = fs.readFileSync(photo);
const cases = {
  path: { inputImage: photo },
  buffer: { inputImage: bytes },
  base64: { inputImage: { base64: bytes.toString("base64") } },
  dataUrl: { inputImage: { base64: `data:image/jpeg;base64,${bytes.toString("base64")}` } },
  png: { inputImage: photo, options: { format: "PNG" } },
  webp: { inputImage: photo, options: { format: "webp" } },
  mask: { inputImage: photo, options: { returnMask: true, format: "png" } },
  exact: { inputImage: photo, options: { w: 120, h: 60, exact_resize: true } },
  rotated: { inputImage: photo, options: { angle: 45, bg_color: "blue", format: "png" } },
  cropped: { inputImage: photo, options: { angle: 45, expand: false } },
  returnBase64: { inputImage: bytes, options: { returnBase64: true, format: "png" } },
  wrongKey: { inputImage: photo, apiKey: "wrong" },
};

for (const [name, { apiKey: otherKey, ...call }] of Object.entries(cases)) {
  const uploaded = [];
  const downloaded = [];
  const outcome = { name };
  try {
    const result = await rembg({
      apiKey: otherKey ?? apiKey,
      onUploadProgress: (event) => uploaded.push(event.loaded),
      onDownloadProgress: (event) => downloaded.push([event.loaded, event.total]),
      ...call,
    });
    if (result.base64Image) {
      outcome.data = result.base64Image.split(",")[1];
    } else {
      outcome.data = fs.readFileSync(result.outputImagePath).toString("base64");
      await result.cleanup();
    }
  } catch (error) {
    outcome.error = error.message;
  }
  console.log(JSON.stringify({ ...outcome, uploaded, downloaded }));
}
