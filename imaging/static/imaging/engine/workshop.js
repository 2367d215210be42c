// All work on pixels: in a worker, or in the page where a browser lacks what that needs.
//
// Memory: previews keep the copies of two photographs (see layers.js). A download has at most 9 bytes a pixel of the photograph
// or of the result in use, whichever is larger: 108 MB at 12 megapixels. A background image adds 8 for each of its pixels. The
// browser takes more for what it has not collected yet, and for its encoder.

import { limitedSize, quarterTurns, radians, rotatedSize } from "../geometry.js";
import { blurredBackdrop, shrunk, withoutSubject } from "./backdrop.js";
import { encode } from "./encode.js";
import { finish, placedWhole } from "./finish.js";
import { DRAFT_SIDE, Layers, PREVIEW_SIDE, cutOut, readPixels } from "./layers.js";
import { Refusal } from "./refusal.js";
import { decode, makeSurface, rasterOf, release, shown, surfaceOf } from "./surfaces.js";

const KEPT = 2;
// A background image is kept at this longer side for previews.
const BACKGROUND_SIDE = 2048;

/** Does one job after the other. A source is {key, file, matte}; another matte is another key. Jobs throw Refusal. */
export class Workshop {
  constructor() {
    Object.assign(this, { layers: new Map(), background: { key: null, raster: null }, last: Promise.resolve() });
  }

  /** The result of a job: {kind, …}, the name of a method and its argument. */
  run({ kind, ...job }) {
    const result = this.last.then(() => this[kind](job)).catch(refuse);
    this.last = result.catch(() => {});
    return result;
  }

  /** Canvases of the photograph and of the cutout, at the size of a preview, and the full size. */
  async open({ source }) {
    const layers = await this.getLayers(source);
    const level = await layers.getLevel(1, true);
    const { canvas, context } = makeSurface(level.size);
    context.drawImage(level.canvas, 0, 0);
    const after = source.matte && shown(surfaceOf(layers.cutoutOf(level, true)));
    return { before: shown(canvas), after, size: layers.size };
  }

  /** The size of the finished image. */
  async measure({ source, plan }) {
    return placedOn(await this.getLayers(source), plan).canvas;
  }

  /** A finished image, no larger than a preview, and the photograph placed like it; see Picture.preview(). */
  async preview({ source, plan, isDraft }) {
    const layers = await this.getLayers(source);
    const placed = placedOn(layers, plan);
    const scale = Math.min(1, (isDraft ? DRAFT_SIDE : PREVIEW_SIDE) / Math.max(placed.canvas.width, placed.canvas.height));
    const level = await layers.getLevel((placed.size.width / (placed.source[2] - placed.source[0])) * scale, isDraft);
    const placement = reducedPlacement(placed, layers.size, level.size, plan, scale);
    const makeBackdrop = await this.findBackdrop(layers, plan);
    const after = await finish(layers.cutoutOf(level, plan.decontaminate), plan, { makeBackdrop, placement, scale });
    return { before: shown(placedPhotograph(level, placement, plan)), after: shown(surfaceOf(after)), canvas: placed.canvas, subject: placed.subject };
  }

  /** The file of the finished image at full size. */
  async export({ source, plan }) {
    let { raster, alpha } = await readPixels(source);
    const planes = plan.blur && !plan.mask ? withoutSubject(raster, alpha) : null;
    const cutout = cutOut(raster, alpha, plan.decontaminate && !plan.mask);
    raster = alpha = null;
    return encode(await finish(cutout, plan, { makeBackdrop: behind(plan, planes, () => decoded(plan.image)) }), plan);
  }

  /** Free the memory of a photograph. */
  forget({ key }) {
    this.layers.get(key)?.release();
    this.layers.delete(key);
  }

  async getLayers(source) {
    let layers = this.layers.get(source.key);
    layers ??= await Layers.load(source);
    // The last one used is the last one to go.
    this.layers.delete(source.key);
    this.layers.set(source.key, layers);
    while (this.layers.size > KEPT) this.forget({ key: this.layers.keys().next().value });
    return layers;
  }

  async findBackdrop(layers, plan) {
    if (plan.image && this.background.key !== plan.imageKey) {
      this.background = { key: plan.imageKey, raster: await decoded(plan.image, BACKGROUND_SIDE) };
    }
    return behind(plan, plan.blur && !plan.mask ? layers.getPlanes() : null, () => this.background.raster);
  }
}

/** An array that finds no memory raises RangeError. */
function refuse(error) {
  throw error instanceof RangeError ? new Refusal("too_little_memory") : error;
}

/** What makes the backdrop of a plan for a canvas; null without one. */
function behind(plan, planes, getImage) {
  if (plan.image && !plan.mask) return async (canvas) => shrunk(await getImage(), canvas);
  return planes && (() => blurredBackdrop(planes, plan.blur, plan.angle));
}

async function decoded(blob, longest = Number.POSITIVE_INFINITY) {
  const image = await decode(blob);
  const { canvas, context } = makeSurface(limitedSize(image, longest));
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  release(image);
  const raster = rasterOf(canvas);
  release(canvas);
  return raster;
}

function placedOn(layers, plan) {
  return placedWhole(rotatedSize(layers.size, plan.angle, plan.expand), layers.findBox(plan.angle, plan.expand), plan);
}

/** A placement of the full-size image, for a copy of size `level` on a canvas that is `scale` times as large. */
function reducedPlacement({ source, size, canvas, place }, whole, level, { angle, expand }, scale) {
  const [from, to] = [rotatedSize(whole, angle, expand), rotatedSize(level, angle, expand)];
  const [across, down] = [to.width / from.width, to.height / from.height];
  const side = (length) => Math.max(1, Math.round(length * scale));
  const start = place.map((length) => Math.round(length * scale));
  const end = [Math.round((place[0] + size.width) * scale), Math.round((place[1] + size.height) * scale)];
  return {
    source: [source[0] * across, source[1] * down, Math.min(to.width, source[2] * across), Math.min(to.height, source[3] * down)],
    size: { width: Math.max(1, end[0] - start[0]), height: Math.max(1, end[1] - start[1]) },
    canvas: { width: side(canvas.width), height: side(canvas.height) },
    place: start,
  };
}

/** The photograph under the same placement; it shows beyond the part that is placed, too. */
function placedPhotograph(level, { source, size, canvas: on, place }, { angle, expand }) {
  const { canvas, context } = makeSurface(on);
  const rotated = rotatedSize(level.size, angle, expand);
  const turned = quarterTurns(angle) === null ? rotated : rotatedSize(level.size, angle, true);
  // On whole pixels after quarter turns.
  const middle = (outer, inner) => Math.floor((outer - inner) / 2) + inner / 2;
  context.translate(...place);
  context.scale(size.width / (source[2] - source[0]), size.height / (source[3] - source[1]));
  context.translate(middle(rotated.width, turned.width) - source[0], middle(rotated.height, turned.height) - source[1]);
  context.rotate(-radians(angle));
  context.drawImage(level.canvas, -level.size.width / 2, -level.size.height / 2);
  return canvas;
}
