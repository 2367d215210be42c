// Sends a small file, then a large one, and prints by how many bytes the second raised the peak of the process's memory
// above what it held before. Usage: node --expose-gc send_file.mjs SERVER SMALL LARGE
import { rembg } from "@rembg-platform/rembg.js";

const [baseUrl, small, large] = process.argv.slice(2);

async function send(inputImage) {
  const { cleanup } = await rembg({ baseUrl, apiKey: "key", inputImage, onUploadProgress: () => {} });
  await cleanup();
}

await send(small);
globalThis.gc();
const held = process.memoryUsage().rss;
await send(large);
// The kernel's own high-water mark, in kilobytes: no peak is missed between two samples.
console.log(process.resourceUsage().maxRSS * 1024 - held);
