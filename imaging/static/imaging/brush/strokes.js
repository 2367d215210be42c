// Strokes of a round brush on a matte. Pure arithmetic: the page, a worker and tests call it alike.
//
// A matte is `{width, height, data, ceiling}`: one byte a pixel, 255 is subject. `ceiling` is the original's own transparency,
// above which nothing can be kept; null where the original has none.

import { readTile, rectOf, tilesIn } from "./tiles.js";

// Entries of a profile. A brush of 2000 pixels has one for each quarter of a pixel at its rim.
const STEPS = 4096;
// A light pen still draws a quarter of the size.
const LEAST_PRESSED = 0.25;
// The distance between two points that are worth a piece of the path, as a part of the size.
const SPACING = 0.03;

/** What a brush covers by the squared distance from its centre, 0-255: entry STEPS is the edge, half a pixel outside of the radius. */
export function profileOf(radius, hardness) {
  const outer = radius + 0.5;
  const inner = Math.min(hardness * radius, radius - 0.5);
  return Uint8Array.from({ length: STEPS + 1 }, (_, step) => {
    const part = Math.min(1, Math.max(0, (outer - Math.sqrt(step / STEPS) * outer) / (outer - inner)));
    return Math.round(255 * part * part * (3 - 2 * part));
  });
}

/**
 * One stroke, from its first point to its last. `brush`: `{size, hardness, keeps}`: the diameter in pixels, 0-1, and whether it
 * keeps or erases. A point: `{x, y, pressure}` in pixels of the matte; `pressure` (0-1) makes the brush smaller.
 *
 * Coverage is the maximum along the path, taken on the matte as it was before: a stroke that crosses itself is not stronger there.
 */
export class Stroke {
  constructor(matte, { size, hardness, keeps }) {
    Object.assign(this, { matte, keeps, radius: size / 2, profile: profileOf(size / 2, hardness) });
    this.spacing = Math.max(0.5, size * SPACING);
    // The tiles that it has reached, as they were.
    this.before = new Map();
    this.dirty = null;
    this.last = null;
  }

  /** Go on to a point: on a curve through the middles between points, so that a fast stroke has no corners. */
  extend(point) {
    if (this.last === null) return this.start(point);
    this.tip = point;
    if (Math.hypot(point.x - this.last.x, point.y - this.last.y) < this.spacing) return;
    const middle = between(this.last, point, 0.5);
    this.curve(this.at, this.last, middle);
    Object.assign(this, { at: middle, last: point });
  }

  start(point) {
    Object.assign(this, { at: point, last: point, tip: point });
    this.sweep(point, point);
  }

  /** Draw the rest, up to the last point. */
  finish() {
    this.curve(this.at, this.last, this.tip);
  }

  /** The rectangle that has changed since the last call; null if none has. */
  takeDirty() {
    const { dirty } = this;
    this.dirty = null;
    return dirty;
  }

  /** A quadratic Bézier curve, in pieces short enough that the rectangle around each is mostly brush. */
  curve(from, control, to) {
    const length = Math.hypot(control.x - from.x, control.y - from.y) + Math.hypot(to.x - control.x, to.y - control.y);
    const pieces = Math.ceil(length / Math.max(4, this.radius / 2));
    let start = from;
    for (let piece = 1; piece <= pieces; piece++) {
      const part = piece / pieces;
      const end = between(between(from, control, part), between(control, to, part), part);
      this.sweep(start, end);
      start = end;
    }
  }

  /** Cover what the brush touches on a straight line: as stamps without any distance between them. */
  sweep(from, to) {
    const line = { x: from.x, y: from.y, dx: to.x - from.x, dy: to.y - from.y, start: this.reach(from), growth: this.reach(to) - this.reach(from) };
    const reach = Math.max(line.start, line.start + line.growth);
    const { width, height } = this.matte;
    const rect = {
      left: Math.max(0, Math.floor(Math.min(from.x, to.x) - reach)),
      top: Math.max(0, Math.floor(Math.min(from.y, to.y) - reach)),
      right: Math.min(width, Math.ceil(Math.max(from.x, to.x) + reach)),
      bottom: Math.min(height, Math.ceil(Math.max(from.y, to.y) + reach)),
    };
    if (rect.left >= rect.right || rect.top >= rect.bottom) return;
    for (const tile of tilesIn(this.matte, rect)) this.cover(tile, rect, line);
    this.dirty = united(this.dirty, rect);
  }

  /** The radius at a point, with the half pixel of its soft rim. */
  reach({ pressure }) {
    return this.radius * (LEAST_PRESSED + (1 - LEAST_PRESSED) * pressure) + 0.5;
  }

  cover(tile, rect, { x, y, dx, dy, start, growth }) {
    if (!this.before.has(tile)) this.before.set(tile, readTile(this.matte, tile));
    const { profile, keeps, matte: { data, width, ceiling } } = this;
    const before = this.before.get(tile);
    const bounds = rectOf(this.matte, tile);
    const [left, right] = [Math.max(rect.left, bounds.left), Math.min(rect.right, bounds.right)];
    const [top, bottom] = [Math.max(rect.top, bounds.top), Math.min(rect.bottom, bounds.bottom)];
    const inverse = dx || dy ? 1 / (dx * dx + dy * dy) : 0;
    for (let row = top; row < bottom; row++) {
      const py = row + 0.5 - y;
      const old = (row - bounds.top) * (bounds.right - bounds.left) - bounds.left;
      for (let column = left; column < right; column++) {
        const px = column + 0.5 - x;
        const along = Math.min(1, Math.max(0, (px * dx + py * dy) * inverse));
        const [ex, ey, radius] = [px - along * dx, py - along * dy, start + along * growth];
        const near = (ex * ex + ey * ey) / (radius * radius);
        if (near >= 1) continue;
        const at = row * width + column;
        const value = before[old + column];
        const target = keeps ? Math.max(value, ceiling === null ? 255 : ceiling[at]) : 0;
        const mixed = value + Math.round(((target - value) * profile[(near * STEPS) | 0]) / 255);
        if (keeps ? mixed > data[at] : mixed < data[at]) data[at] = mixed;
      }
    }
  }
}

function between(one, other, part) {
  const mix = (a, b) => a + (b - a) * part;
  return { x: mix(one.x, other.x), y: mix(one.y, other.y), pressure: mix(one.pressure, other.pressure) };
}

/** The rectangle around two; either may be null. */
export function united(one, other) {
  if (one === null || other === null) return one ?? other;
  return {
    left: Math.min(one.left, other.left),
    top: Math.min(one.top, other.top),
    right: Math.max(one.right, other.right),
    bottom: Math.max(one.bottom, other.bottom),
  };
}
