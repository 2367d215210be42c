// The subject's box after a rotation of the full-size alpha, without rotating all of it.

import { quarterTurns, rotatedSize } from "../geometry.js";
import { findSubject } from "./raster.js";
import { cubic, rotation } from "./rotate.js";

const VISIBLE_ALPHA = 10;
// By how much interpolation may widen a box, in pixels, with some to spare.
const SPREAD = 4;

/** The box of what is visible of `alpha` (a plane) on the canvas after a rotation; null without any. */
export function findRotatedSubject(alpha, angle, expand) {
  const turns = quarterTurns(angle);
  if (turns === 0) return findSubject(alpha);
  const size = rotatedSize(alpha, angle, expand);
  if (turns !== null) return findTurned(alpha, turns, size);
  const view = new RotatedAlpha(alpha, angle, size);
  const rough = view.roughBox();
  return rough && view.exactBox(rough);
}

function findTurned({ width, height, data }, turns, size) {
  const [across, down] = turns === 2 ? [width, height] : [height, width];
  const [left, top] = [Math.floor((size.width - across) / 2), Math.floor((size.height - down) / 2)];
  const place = [null, (x, y) => [y, width - 1 - x], (x, y) => [width - 1 - x, height - 1 - y], (x, y) => [height - 1 - y, x]][turns];
  const box = new Bounds();
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at++) {
      if (data[at] < VISIBLE_ALPHA) continue;
      const [column, row] = place(x, y);
      const [to, below] = [column + left, row + top];
      if (to >= 0 && below >= 0 && to < size.width && below < size.height) box.add(to, below);
    }
  }
  return box.found();
}

class Bounds {
  box = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY];

  add(x, y) {
    const { box } = this;
    if (x < box[0]) box[0] = x;
    if (y < box[1]) box[1] = y;
    if (x + 1 > box[2]) box[2] = x + 1;
    if (y + 1 > box[3]) box[3] = y + 1;
  }

  found() {
    return this.box[2] < this.box[0] ? null : this.box;
  }
}

class RotatedAlpha {
  constructor(alpha, angle, size) {
    Object.assign(this, { alpha, size, map: rotation(angle, alpha, size) });
  }

  /** The box of the outermost visible pixels of each row of the source, cut to the canvas. */
  roughBox() {
    const { alpha, map } = this;
    const box = new Bounds();
    for (let y = 0; y < alpha.height; y++) {
      const line = alpha.data.subarray(y * alpha.width, (y + 1) * alpha.width);
      const isVisible = (value) => value >= VISIBLE_ALPHA;
      const first = line.findIndex(isVisible);
      if (first < 0) continue;
      for (const x of [first, line.findLastIndex(isVisible)]) {
        const [across, down] = [x + 0.5 - map.left, y + 0.5 - map.top];
        box.add(Math.floor(map.cos * across + map.sin * down), Math.floor(map.cos * down - map.sin * across));
      }
    }
    return box.found();
  }

  /** The exact box, found from the rough one: from outside inwards, row by row and column by column. */
  exactBox(rough) {
    const { width, height } = this.size;
    const start = (value, side) => Math.min(side - 1, Math.max(0, value));
    const rows = this.firstAndLast(start(rough[1] - SPREAD, height), start(rough[3] + SPREAD, height), (row) => this.hasInRow(row));
    if (rows === null) return null;
    const columns = this.firstAndLast(start(rough[0] - SPREAD, width), start(rough[2] + SPREAD, width), (column) => this.hasInColumn(column, rows));
    return columns && [columns[0], rows[0], columns[1] + 1, rows[1] + 1];
  }

  firstAndLast(start, end, has) {
    let first = start;
    while (first <= end && !has(first)) first++;
    if (first > end) return null;
    let last = end;
    while (!has(last)) last--;
    return [first, last];
  }

  hasInRow(row) {
    for (let column = 0; column < this.size.width; column++) if (this.isVisible(column, row)) return true;
    return false;
  }

  hasInColumn(column, [first, last]) {
    for (let row = first; row <= last; row++) if (this.isVisible(column, row)) return true;
    return false;
  }

  isVisible(column, row) {
    const { alpha: { width, height, data }, map } = this;
    const x = map.cos * (column + 0.5) - map.sin * (row + 0.5) + map.left - 0.5;
    const y = map.sin * (column + 0.5) + map.cos * (row + 0.5) + map.top - 0.5;
    const [left, top] = [Math.floor(x), Math.floor(y)];
    if (left < -2 || top < -2 || left > width || top > height) return false;
    const at = (across, down) => (across < 0 || down < 0 || across >= width || down >= height ? 0 : data[down * width + across]);
    const lines = [-1, 0, 1, 2].map((down) =>
      cubic(at(left - 1, top + down), at(left, top + down), at(left + 1, top + down), at(left + 2, top + down), x - left),
    );
    return cubic(...lines, y - top) >= VISIBLE_ALPHA;
  }
}
