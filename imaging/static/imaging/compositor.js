// Composes the result from the original and its matte, in the same order as the API:
// upright, cut out, rotate, resize, background. (Encoding follows.)
//
// Canvases are sRGB, like CSS colours: an image with another profile is converted when it is decoded, and the resulting file
// needs no profile. (The API keeps the profile instead, and converts the background to it.)

import { makeCanvas, release } from "./canvas.js";
import { deliveredSize, quarterTurns, radians, rotatedSize } from "./geometry.js";

const WHITE = "#ffffff";
const FORMATS_WITHOUT_ALPHA = ["jpeg", "bmp"];
// Pixels processed at once: only three copies of a strip are in memory, not of the whole image.
const STRIP_PIXELS = 1 << 20;

/** Two canvases of `size` from decoded images: the original's colours, and the same cut out along the matte. */
export function cutOut(original, matte, size) {
  const before = drawn(original, size);
  const after = drawn(original, size);
  const alpha = drawn(matte, size);
  const rows = Math.max(1, Math.floor(STRIP_PIXELS / size.width));
  for (let top = 0; top < size.height; top += rows) {
    const strip = [0, top, size.width, Math.min(rows, size.height - top)];
    const pixels = after.context.getImageData(...strip);
    copyAlpha(alpha.context.getImageData(...strip).data, pixels.data);
    after.context.putImageData(pixels, 0, top);
  }
  release(alpha.canvas);
  return { before: before.canvas, after: after.canvas };
}

/** The matte's brightness becomes the alpha: it already includes the original's own transparency. */
function copyAlpha(matte, pixels) {
  for (let at = 0; at < pixels.length; at += 4) pixels[at + 3] = matte[at];
}

function drawn(picture, size) {
  const made = makeCanvas(size);
  made.context.drawImage(picture, 0, 0, size.width, size.height);
  return made;
}

/** The options of a preview that is drawn from a picture scaled down by `scale`, so that it looks like the whole one. */
export function previewSize(upright, options, longest) {
  const size = deliveredSize(upright, options);
  const scale = Math.min(1, longest / Math.max(size.width, size.height));
  return { width: Math.max(1, Math.round(size.width * scale)), height: Math.max(1, Math.round(size.height * scale)) };
}

/** `picture` rotated and resized onto a new canvas of `size`, over `background` (a CSS colour or null). */
export function place(picture, options, size, background) {
  const { canvas, context } = makeCanvas(size);
  if (background) fill(context, size, background);
  const rotated = rotatedSize(picture, options.angle, options.expand);
  const isPlain = size.width === rotated.width && size.height === rotated.height && quarterTurns(options.angle) !== null;
  context.imageSmoothingEnabled = !isPlain;
  context.scale(size.width / rotated.width, size.height / rotated.height);
  const centre = centreOf(picture, rotated, options.angle);
  context.translate(centre.x, centre.y);
  turn(context, options.angle);
  context.drawImage(picture, -picture.width / 2, -picture.height / 2);
  return canvas;
}

/** The finished image: the cutout on its background, or only its alpha in grey if `options.mask`. */
export function compose(cutout, options, size) {
  if (!options.mask) return place(cutout, options, size, backgroundOf(options));
  const white = makeCanvas({ width: cutout.width, height: cutout.height });
  white.context.drawImage(cutout, 0, 0);
  white.context.globalCompositeOperation = "source-in";
  fill(white.context, cutout, WHITE);
  const mask = place(white.canvas, options, size, "#000000");
  release(white.canvas);
  return mask;
}

/** The colour behind the subject; null if the image stays transparent. */
export function backgroundOf(options) {
  return options.bg_color ?? (FORMATS_WITHOUT_ALPHA.includes(options.format) ? WHITE : null);
}

function fill(context, size, colour) {
  context.fillStyle = colour;
  context.fillRect(0, 0, size.width, size.height);
}

/** Where the middle of the picture lies on the rotated canvas: on whole pixels after quarter turns, as in the API. */
function centreOf(picture, rotated, angle) {
  if (quarterTurns(angle) === null) return { x: rotated.width / 2, y: rotated.height / 2 };
  const turned = rotatedSize(picture, angle, true);
  const middle = (outer, inner) => Math.floor((outer - inner) / 2) + inner / 2;
  return { x: middle(rotated.width, turned.width), y: middle(rotated.height, turned.height) };
}

function turn(context, angle) {
  const turns = quarterTurns(angle);
  if (turns === null) return context.rotate(-radians(angle));
  const [cos, sin] = [[1, 0], [0, 1], [-1, 0], [0, -1]][turns];
  return context.transform(cos, -sin, sin, cos, 0, 0);
}
