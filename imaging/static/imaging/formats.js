// Pictures of formats that phones and chats send and the API does not take: the browser makes JPEG or PNG of them, in the page.
//
// The first bytes decide, not the name: what is called .jpg is often HEIC, and the other way around.

import { PictureError, decode, makeCanvas, release } from "./canvas.js";
import { alphaPlaneOf } from "./engine/surfaces.js";
import { stem } from "./names.js";

// What the API takes, and the extension to send it with.
const EXTENSIONS = { jpeg: "jpg", png: "png", webp: "webp", bmp: "bmp" };
const KNOWN_NAME = /\.(jpe?g|png|webp|bmp|jfif|jpe|pjpeg|pjp)$|^[^.]*$/i;
const STARTS = { jpeg: "\xff\xd8\xff", png: "\x89PNG", bmp: "BM", gif: "GIF8" };
// The length of a file's first box, which names brands, is in its first bytes; no real one is longer.
const HEAD_BYTES = 256;
const HEIC_BRANDS = ["heic", "heix", "heim", "heis", "hevc", "hevx", "hevm", "hevs", "mif1", "msf1"];
const QUALITY = 0.95;

const results = new WeakMap();

/**
 * `file` as the API takes it: `{file, note}`. JPEG, PNG, WebP, BMP and unknown files stay what they are; HEIC, AVIF and GIF
 * become JPEG, or PNG if they have transparency, at full size. `note` is a sentence on what was lost, or "". Each file is
 * converted once. Throws PictureError with advice if this browser cannot open the format.
 */
export function sendable(file) {
  if (!results.has(file)) results.set(file, prepared(file));
  return results.get(file);
}

async function prepared(file) {
  const { format, isAnimated } = await inspected(file);
  const note = isAnimated ? gettext("The picture is animated: its first frame is used.") : "";
  if (["heic", "avif", "gif"].includes(format)) return { file: await converted(file, format), note };
  const extension = EXTENSIONS[format];
  if (!extension || KNOWN_NAME.test(file.name)) return { file, note };
  return { file: new File([file], `${stem(file.name)}.${extension}`, { type: `image/${format}` }), note };
}

/** `{format, isAnimated}` of a file, by its content; the format is null if it is none of these. */
async function inspected(file) {
  const head = await textOf(file.slice(0, HEAD_BYTES));
  const format = Object.keys(STARTS).find((name) => head.startsWith(STARTS[name])) ?? null;
  if (format === "gif") return { format, isAnimated: countFrames(new Uint8Array(await file.arrayBuffer())) > 1 };
  if (head.startsWith("RIFF") && head.startsWith("WEBP", 8)) return { format: "webp", isAnimated: false };
  if (!head.startsWith("ftyp", 4)) return { format, isAnimated: false };
  // The brand, a version, then all brands that the file conforms to.
  const [brand, , ...others] = head.slice(8, head.charCodeAt(2) * 256 + head.charCodeAt(3)).match(/[\s\S]{4}/g) ?? [];
  const brands = [brand, ...others];
  if (brands.includes("avif") || brands.includes("avis")) return { format: "avif", isAnimated: brand === "avis" };
  return { format: brands.some((name) => HEIC_BRANDS.includes(name)) ? "heic" : null, isAnimated: false };
}

/** The bytes of a blob, each as one character. */
async function textOf(blob) {
  return String.fromCharCode(...new Uint8Array(await blob.arrayBuffer()));
}

/** How many frames a GIF has, 2 for more: https://www.w3.org/Graphics/GIF/spec-gif89a.txt */
function countFrames(bytes) {
  const afterTable = (at, flags) => at + (flags & 0x80 ? 3 << ((flags & 7) + 1) : 0);
  const afterBlocks = (at) => {
    while (bytes[at]) at += bytes[at] + 1;
    return at + 1;
  };
  let frames = 0;
  let at = afterTable(13, bytes[10]);
  while (at < bytes.length && frames < 2) {
    if (bytes[at] === 0x21) at = afterBlocks(at + 2);
    else if (bytes[at] === 0x2c) {
      frames++;
      at = afterBlocks(afterTable(at + 10, bytes[at + 9]) + 1);
    } else break;
  }
  return frames;
}

async function converted(file, format) {
  const bitmap = await decode(file).catch((error) => { throw format === "gif" ? error : new PictureError(advice(format)); });
  try {
    return await written(bitmap, format, stem(file.name));
  } finally {
    bitmap.close();
  }
}

async function written(bitmap, format, name) {
  // A GIF has few colours, which JPEG would blur.
  const type = format === "gif" || !isOpaque(bitmap) ? "png" : "jpeg";
  const { canvas, context } = makeCanvas(bitmap);
  context.drawImage(bitmap, 0, 0);
  const blob = await new Promise((done) => canvas.toBlob(done, `image/${type}`, QUALITY));
  release(canvas);
  if (blob === null) throw new PictureError(errorHints.invalid_image.text);
  return new File([blob], `${name}.${EXTENSIONS[type]}`, { type: blob.type });
}

function isOpaque(bitmap) {
  return alphaPlaneOf(bitmap, { width: bitmap.width, height: bitmap.height }).data.every((alpha) => alpha === 255);
}

function advice(format) {
  if (format === "avif") return gettext("This browser cannot open this AVIF picture. Save it as JPEG or PNG, then choose it again.");
  return gettext("This is a HEIC picture, and this browser cannot open it. Open this page in Safari, or save the picture as JPEG. For new pictures, choose Settings → Camera → Formats → Most Compatible on the iPhone.");
}
