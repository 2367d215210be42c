// What a canvas of this browser can be written as.

export const NAMES = { webp: "WebP", png: "PNG", jpeg: "JPEG", bmp: "BMP" };

/** Whether this browser can write WebP. */
export async function canWriteWebp() {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 1;
  const blob = await new Promise((done) => canvas.toBlob(done, "image/webp"));
  return blob?.type === "image/webp";
}
