// What a TypeScript user of CommonJS writes. Only checked, never run.
import client = require("@rembg-platform/rembg.js");

export const result: Promise<client.FileResult> = client.rembg({ inputImage: "a.png" });
export const same: typeof client.rembg = client.default;
