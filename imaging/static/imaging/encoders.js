// What this browser can write an image as.

export const NAMES = { webp: "WebP", png: "PNG", jpeg: "JPEG", bmp: "BMP" };

// A module that is valid only where WebAssembly has SIMD, which the WebP encoder is compiled for: Safari from 16.4 on.
const SIMD = Uint8Array.of(
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11,
);

/** Whether this browser can write WebP: see engine/webp.js. Some have no WebAssembly, Safari's Lockdown Mode for one. */
export function canWriteWebp() {
  return typeof WebAssembly === "object" && WebAssembly.validate(SIMD);
}
