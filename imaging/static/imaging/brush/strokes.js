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
    // By tile that it has reached: what it was, and how much of each pixel is covered.
    Object.assign(this, { before: new Map(), coverage: new Map() });
    // The rectangle around the stroke, and that around what `takeDirty` has not returned yet.
    Object.assign(this, { bounds: null, dirty: null });
    // The last points, up to three: a piece is drawn once the point after it is known.
    this.path = [];
  }

  /** Go on to a point: on a curve through all points, so that a fast stroke has no corners. */
  extend(point) {
    this.tip = point;
    const last = this.path.at(-1);
    if (last === undefined) this.sweep(point, point);
    else if (distance(last, point) < this.spacing) return;
    this.add(point);
  }

  /** Draw the rest, up to the last point. */
  finish() {
    if (this.path.at(-1) !== this.tip) this.add(this.tip);
    this.add(this.tip);
  }

  add(point) {
    if (this.path.length >= 2) this.curve(this.path.at(-3) ?? this.path.at(-2), this.path.at(-2), this.path.at(-1), point);
    this.path = [...this.path.slice(-2), point];
  }

  /** The rectangle that has changed since the last call; null if none has. */
  takeDirty() {
    const { dirty } = this;
    this.dirty = null;
    return dirty;
  }

  /** A Catmull-Rom curve from one point to another, in pieces short enough that the rectangle around each is mostly brush. */
  curve(before, from, to, after) {
    const pieces = Math.ceil(distance(from, to) / Math.max(4, this.radius / 2));
    let start = from;
    for (let piece = 1; piece <= pieces; piece++) {
      const end = onCurve(before, from, to, after, piece / pieces);
      this.sweep(start, end);
      start = end;
    }
  }

  /** Cover what the brush touches on a straight line: as stamps without any distance between them. */
  sweep(from, to) {
    const [dx, dy, start, end] = [to.x - from.x, to.y - from.y, this.reach(from), this.reach(to)];
    const line = { x: from.x, y: from.y, dx, dy, inverse: dx || dy ? 1 / (dx * dx + dy * dy) : 0, start, growth: end - start };
    const reach = Math.max(start, end);
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
    this.bounds = united(this.bounds, rect);
  }

  /** The radius at a point, with the half pixel of its soft rim. */
  reach({ pressure }) {
    return this.radius * (LEAST_PRESSED + (1 - LEAST_PRESSED) * pressure) + 0.5;
  }

  cover(tile, rect, line) {
    if (!this.before.has(tile)) this.reachTile(tile);
    const [before, coverage] = [this.before.get(tile), this.coverage.get(tile)];
    const bounds = rectOf(this.matte, tile);
    const [left, right] = [Math.max(rect.left, bounds.left), Math.min(rect.right, bounds.right)];
    const [top, bottom] = [Math.max(rect.top, bounds.top), Math.min(rect.bottom, bounds.bottom)];
    for (let row = top; row < bottom; row++) {
      const start = (row - bounds.top) * (bounds.right - bounds.left) + left - bounds.left;
      this.coverRow(row, left, right, line, before, coverage, start);
    }
  }

  reachTile(tile) {
    const before = readTile(this.matte, tile);
    this.before.set(tile, before);
    this.coverage.set(tile, new Uint8Array(before.length));
  }

  /** Cover the pixels of a row from `left` to `right`; `before` and `coverage` have the first of them at `from`. */
  coverRow(row, left, right, { x, y, dx, dy, inverse, start, growth }, before, coverage, from) {
    const { profile, keeps, matte: { data, width, ceiling } } = this;
    const py = row + 0.5 - y;
    for (let column = left; column < right; column++) {
      const px = column + 0.5 - x;
      const along = Math.min(1, Math.max(0, (px * dx + py * dy) * inverse));
      const ex = px - along * dx;
      const ey = py - along * dy;
      const radius = start + along * growth;
      const near = (ex * ex + ey * ey) / (radius * radius);
      if (near >= 1) continue;
      const covered = profile[(near * STEPS) | 0];
      const place = from + column - left;
      if (covered <= coverage[place]) continue;
      coverage[place] = covered;
      const at = row * width + column;
      const value = before[place];
      const kept = ceiling === null ? 255 : Math.max(value, ceiling[at]);
      data[at] = value + Math.round((((keeps ? kept : 0) - value) * covered) / 255);
    }
  }

  /** What was in a rectangle before the stroke, and how much of it is covered: bytes, row by row. */
  read({ left, top, right, bottom }) {
    const { matte } = this;
    const width = right - left;
    const [before, coverage] = [new Uint8Array(width * (bottom - top)), new Uint8Array(width * (bottom - top))];
    for (let row = top; row < bottom; row++) {
      before.set(matte.data.subarray(row * matte.width + left, row * matte.width + right), (row - top) * width);
    }
    for (const tile of tilesIn(matte, { left, top, right, bottom })) {
      if (!this.coverage.has(tile)) continue;
      const bounds = rectOf(matte, tile);
      const [start, end] = [Math.max(left, bounds.left), Math.min(right, bounds.right)];
      for (let row = Math.max(top, bounds.top); row < Math.min(bottom, bounds.bottom); row++) {
        const from = (row - bounds.top) * (bounds.right - bounds.left) - bounds.left;
        const to = (row - top) * width + start - left;
        before.set(this.before.get(tile).subarray(from + start, from + end), to);
        coverage.set(this.coverage.get(tile).subarray(from + start, from + end), to);
      }
    }
    return { before, coverage };
  }
}

const distance = (one, other) => Math.hypot(one.x - other.x, one.y - other.y);

/** A point of the uniform Catmull-Rom spline between the second and the third of four; the pressure is linear. */
function onCurve(before, from, to, after, part) {
  const along = (axis) => {
    const [a, b, c, d] = [before[axis], from[axis], to[axis], after[axis]];
    return b + 0.5 * part * (c - a + part * (2 * a - 5 * b + 4 * c - d + part * (3 * (b - c) + d - a)));
  };
  return { x: along("x"), y: along("y"), pressure: from.pressure + (to.pressure - from.pressure) * part };
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
