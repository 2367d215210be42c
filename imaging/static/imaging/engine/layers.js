// What previews are drawn from: reduced copies of a photograph and of its cutout, and the full-size alpha for exact boxes.
//
// Memory: for a photograph of 12 megapixels 12 MB of alpha, and 16 MB of copies; twice the longer side, 47 MB, for small crops.
// The photograph itself is decoded when it is needed, and closed at once.

import { limitedSize } from "../geometry.js";
import { withoutSubject } from "./backdrop.js";
import { decontaminate } from "./edge-colours.js";
import { alphaOf, applyAlpha } from "./raster.js";
import { findRotatedSubject } from "./subjects.js";
import { alphaPlaneOf, decode, makeSurface, planeOf, rasterOf, release } from "./surfaces.js";

export const DRAFT_SIDE = 700;
export const PREVIEW_SIDE = 1400;
// A small crop is drawn from a copy with as many pixels as it needs, up to this longer side, in steps.
const [DETAIL_SIDE, SIDE_STEP] = [2800, 200];
const BLURRED_SIDE = 512;

/** The matte as a plane of `size`: no more opaque than the photograph of `file` itself. Without a matte, its own alpha. */
function effectiveAlpha(file, photograph, matte, size) {
  if (matte && file.type === "image/jpeg") return planeOf(matte, size);
  const own = alphaPlaneOf(photograph, size);
  if (matte === null) return own;
  const plane = planeOf(matte, size);
  for (let at = 0; at < own.data.length; at++) plane.data[at] = Math.min(plane.data[at], own.data[at]);
  return plane;
}

export class Layers {
  /** `source` is {file, matte}: blobs, the second null where there is none yet. */
  static async load(source) {
    const layers = new Layers(source);
    const [photograph, matte] = await openBoth(source);
    layers.size = { width: photograph.width, height: photograph.height };
    layers.alpha = effectiveAlpha(source.file, photograph, matte, layers.size);
    for (const side of [DRAFT_SIDE, PREVIEW_SIDE]) layers.addLevel(photograph, matte, side);
    release(photograph);
    if (matte) release(matte);
    return layers;
  }

  constructor(source) {
    Object.assign(this, { source, levels: [], boxes: new Map(), planes: null });
  }

  addLevel(photograph, matte, side) {
    const size = limitedSize(photograph, side);
    const { canvas, context } = makeSurface(size);
    context.drawImage(photograph, 0, 0, size.width, size.height);
    const level = { side, size, canvas, alpha: effectiveAlpha(this.source.file, photograph, matte, size), scale: size.width / photograph.width, pixels: null };
    this.levels.push(level);
    return level;
  }

  /** The smallest level that has `scale` of the photograph's resolution, or nearly; a draft takes what there is. */
  async getLevel(scale, isDraft) {
    const enough = this.levels.find((level) => level.scale >= scale * 0.9 || level.scale === 1);
    const [usual, most] = [this.levels.find(({ side }) => side === PREVIEW_SIDE), Math.max(this.size.width, this.size.height) * scale];
    if (isDraft) return enough && enough.side <= PREVIEW_SIDE ? enough : usual;
    const side = Math.min(DETAIL_SIDE, Math.ceil(most / SIDE_STEP) * SIDE_STEP);
    if (enough || this.levels.some((level) => level.side >= side)) return enough ?? this.levels.at(-1);
    this.dropDetail();
    const [photograph, matte] = await openBoth(this.source);
    const level = this.addLevel(photograph, matte, side);
    release(photograph);
    if (matte) release(matte);
    return level;
  }

  /** Free what is larger than a preview. */
  dropDetail() {
    for (const { canvas } of this.levels.filter(({ side }) => side > PREVIEW_SIDE)) release(canvas);
    this.levels = this.levels.filter(({ side }) => side <= PREVIEW_SIDE);
  }

  /** A copy of a level's cutout, with the old background's colour taken out of its edge where that is asked for. */
  cutoutOf(level, isClean) {
    if (level.pixels?.isClean !== isClean) level.pixels = { isClean, raster: cutOut(rasterOf(level.canvas), level.alpha, isClean) };
    const { raster } = level.pixels;
    return { ...raster, data: raster.data.slice() };
  }

  /** The exact box of the subject after a rotation, in pixels of the full-size image; null without one. */
  findBox(angle, expand) {
    const key = `${angle} ${expand}`;
    if (!this.boxes.has(key)) this.boxes.set(key, findRotatedSubject(this.alpha, angle, expand));
    return this.boxes.get(key);
  }

  /** The background without the subject, small: see withoutSubject(). */
  getPlanes() {
    const [level] = this.levels;
    this.planes ??= withoutSubject(rasterOf(level.canvas), level.alpha, BLURRED_SIDE);
    return this.planes;
  }

  release() {
    for (const { canvas } of this.levels) release(canvas);
    this.levels = [];
    this.alpha = this.planes = null;
  }
}

async function openBoth({ file, matte }) {
  return [await decode(file), matte && (await decode(matte))];
}

/** The pixels of a source at full size, and its effective alpha. One bitmap is open at a time: 9 bytes a pixel at most, 108 MB at 12 megapixels. */
export async function readPixels({ file, matte }) {
  const raster = await opened(file, rasterOf);
  if (matte === null) return { raster, alpha: alphaOf(raster) };
  const alpha = await opened(matte, (bitmap) => planeOf(bitmap, raster));
  for (let at = 0; at < alpha.data.length; at++) alpha.data[at] = Math.min(alpha.data[at], raster.data[4 * at + 3]);
  return { raster, alpha };
}

async function opened(blob, read) {
  const bitmap = await decode(blob);
  try {
    return read(bitmap);
  } finally {
    release(bitmap);
  }
}

/** Cut a raster out along a plane of its size, in place, its edges cleaned if `isClean`. */
export function cutOut(raster, alpha, isClean) {
  if (isClean) decontaminate(raster, alpha.data);
  applyAlpha(raster, alpha);
  return raster;
}
