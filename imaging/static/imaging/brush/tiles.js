// A matte in tiles, and the history of what has changed in them. Pure: see strokes.js for what a matte is.

const SIDE = 128;
// The bytes that changes may take together, undone ones included. The oldest go first; the last one always stays. A long stroke
// along an edge at 12 megapixels changes about 100 tiles of 16 kB; a tile of one value alone takes nothing.
const BUDGET = 48 * 1024 * 1024;

const columnsOf = ({ width }) => Math.ceil(width / SIDE);

/** The pixels of a tile: `{left, top, right, bottom}`, right and bottom excluded. */
export function rectOf(matte, tile) {
  const left = (tile % columnsOf(matte)) * SIDE;
  const top = Math.floor(tile / columnsOf(matte)) * SIDE;
  return { left, top, right: Math.min(left + SIDE, matte.width), bottom: Math.min(top + SIDE, matte.height) };
}

/** The numbers of all tiles that a rectangle touches. */
export function tilesIn(matte, { left, top, right, bottom }) {
  const tiles = [];
  for (let row = Math.floor(top / SIDE); row * SIDE < bottom; row++) {
    for (let column = Math.floor(left / SIDE); column * SIDE < right; column++) tiles.push(row * columnsOf(matte) + column);
  }
  return tiles;
}

/** A copy of a tile's values, row by row. */
export function readTile(matte, tile) {
  const { left, top, right, bottom } = rectOf(matte, tile);
  const values = new Uint8Array((right - left) * (bottom - top));
  for (let row = top; row < bottom; row++) {
    const start = row * matte.width;
    values.set(matte.data.subarray(start + left, start + right), (row - top) * (right - left));
  }
  return values;
}

/** Write a tile's values: bytes as `readTile` returns them, or one number for all. */
export function writeTile(matte, tile, values) {
  const { left, top, right, bottom } = rectOf(matte, tile);
  for (let row = top; row < bottom; row++) {
    const target = matte.data.subarray(row * matte.width + left, row * matte.width + right);
    if (typeof values === "number") target.fill(values);
    else target.set(values.subarray((row - top) * (right - left), (row - top + 1) * (right - left)));
  }
}

/** What can be undone and redone: changes, each a map from tiles to what they were before. */
export class History {
  constructor(matte, budget = BUDGET) {
    Object.assign(this, { matte, budget, done: [], undone: [], hasDropped: false });
  }

  /** `{canUndo, canRedo, isChanged}`: the last is whether the matte differs from the one at the start. */
  get state() {
    const canUndo = this.done.length > 0;
    return { canUndo, canRedo: this.undone.length > 0, isChanged: canUndo || this.hasDropped };
  }

  /** Note a change that is made. `before`: bytes by tile, as `readTile` returned them; `label` names the kind of change. */
  add(before, label) {
    const tiles = new Map([...before].filter(([tile, values]) => differs(this.matte, tile, values)).map(([tile, values]) => [tile, packed(values)]));
    if (tiles.size === 0) return;
    this.undone = [];
    this.done.push({ tiles, label });
    this.drop();
  }

  /** Take the last change back. Returns the rectangle that has changed; null if there is nothing to undo. */
  undo() {
    return this.swap(this.done, this.undone);
  }

  /** Make the change again that was undone last. Returns like `undo`. */
  redo() {
    return this.swap(this.undone, this.done);
  }

  swap(from, to) {
    if (from.length === 0) return null;
    const { tiles, label } = from.pop();
    const swapped = new Map([...tiles.keys()].map((tile) => [tile, packed(readTile(this.matte, tile))]));
    for (const [tile, values] of tiles) writeTile(this.matte, tile, values);
    to.push({ tiles: swapped, label });
    return rectAround(this.matte, tiles.keys());
  }

  drop() {
    let bytes = this.done.reduce((sum, change) => sum + bytesOf(change), 0);
    while (bytes > this.budget && this.done.length > 1) {
      bytes -= bytesOf(this.done.shift());
      this.hasDropped = true;
    }
  }
}

const bytesOf = ({ tiles }) => [...tiles.values()].reduce((sum, values) => sum + (values.length ?? 0), 0);

/** A number in place of bytes that are all alike, as they are away from edges. */
function packed(values) {
  return values.every((value) => value === values[0]) ? values[0] : values;
}

function differs(matte, tile, values) {
  const { left, top, right, bottom } = rectOf(matte, tile);
  for (let row = top, at = 0; row < bottom; row++) {
    for (let pixel = row * matte.width + left; pixel < row * matte.width + right; pixel++, at++) {
      if (matte.data[pixel] !== values[at]) return true;
    }
  }
  return false;
}

function rectAround(matte, tiles) {
  const rects = [...tiles].map((tile) => rectOf(matte, tile));
  const least = (side) => rects.reduce((value, rect) => Math.min(value, rect[side]), Infinity);
  const most = (side) => rects.reduce((value, rect) => Math.max(value, rect[side]), 0);
  return { left: least("left"), top: least("top"), right: most("right"), bottom: most("bottom") };
}
