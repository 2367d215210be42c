// What a TypeScript user in a browser writes. Only checked, never run.
import { rembg } from "@rembg-platform/rembg.js/browser";

const input = document.querySelector("input")!;
const { blob, url, cleanup, creditsCharged } = await rembg({ inputImage: input.files![0]!, options: { w: 5 } });
document.querySelector("img")!.src = url;
await cleanup();
// @ts-expect-error: browsers have no paths
await rembg({ inputImage: "a.png" });

export const size: number = blob.size + (creditsCharged ?? 0);
