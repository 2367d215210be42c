// Values on a grid of square cells, and their interpolation for the pixels of a cell: see imaging/core/cells.py.

/** Cells of `side` pixels over an image; those of the last row and column may be cut off by its rim. */
export class Grid {
  constructor({ width, height }, side) {
    Object.assign(this, { width, height, side, columns: Math.ceil(width / side), rows: Math.ceil(height / side) });
    this.count = this.rows * this.columns;
  }

  /** Call `visit(place, {left, top, right, bottom} in pixels)` for the cells of a box in cells, by default for all. */
  each(visit, { left, top, right, bottom } = { left: 0, top: 0, right: this.columns, bottom: this.rows }) {
    const { side, width, height } = this;
    for (let row = top; row < bottom; row++) {
      for (let column = left; column < right; column++) {
        const [x, y] = [column * side, row * side];
        visit(row * this.columns + column, { left: x, top: y, right: Math.min(x + side, width), bottom: Math.min(y + side, height) });
      }
    }
  }

  /** Put the `size` values of a cell and of each of its eight neighbours into `result`; beyond the rim the rim's. */
  corners(values, size, place, result) {
    const row = Math.floor(place / this.columns);
    const column = place % this.columns;
    for (let corner = 0; corner < 9; corner++) {
      const down = Math.min(Math.max(row + Math.floor(corner / 3) - 1, 0), this.rows - 1);
      const across = Math.min(Math.max(column + (corner % 3) - 1, 0), this.columns - 1);
      const from = (down * this.columns + across) * size;
      for (let at = 0; at < size; at++) result[corner * size + at] = values[from + at];
    }
  }
}

/** Where the middle of a pixel lies in a cell of `side` pixels, in cells from the cell's own middle. */
export const placeIn = (pixel, side) => (pixel + 0.5) / side - 0.5;

/** Put what lies at `place` from the middle one of three lists of `size` values, one after the other, into `result`. */
export function interpolate(values, size, place, result) {
  const before = Math.max(-place, 0);
  const after = Math.max(place, 0);
  const own = 1 - before - after;
  for (let at = 0; at < size; at++) result[at] = before * values[at] + own * values[size + at] + after * values[2 * size + at];
}
