// Spreads weighted colours on a grid to where there are none, from coarse to fine. A port of imaging/core/finishing/spreading.py.
//
// Gortler et al., "The Lumigraph", 1996, 3.4: push-pull.

// What the next coarser level counts where a level's own weight is between 0 and 1.
const COARSER_WEIGHT = Math.fround(0.1);
const COLOURS = 3;

/**
 * The colours of weighted sums, from coarser levels where there is no weight.
 *
 * `sums` has four planes of `rows` x `columns` values, one after the other: red, green and blue times the weight, and the
 * weight. Returns three such planes.
 */
export function spread(sums, rows, columns) {
  if (Math.min(rows, columns) === 1) return weighted(smoothed(sums, rows, columns), meanOf(sums, rows * columns));
  const [halfRows, halfColumns] = [Math.ceil(rows / 2), Math.ceil(columns / 2)];
  const coarser = spread(halved(sums, rows, columns), halfRows, halfColumns);
  return weighted(smoothed(sums, rows, columns), doubled(coarser, halfRows, halfColumns, rows, columns));
}

function weighted(sums, coarser) {
  const count = sums.length / (COLOURS + 1);
  const colours = new Float32Array(COLOURS * count);
  for (let at = 0; at < colours.length; at++) {
    const weight = Math.fround(sums[COLOURS * count + (at % count)] + COARSER_WEIGHT);
    colours[at] = Math.fround(sums[at] + Math.fround(COARSER_WEIGHT * coarser[at])) / weight;
  }
  return colours;
}

function meanOf(sums, count) {
  const totals = [0, 0, 0, 0];
  for (let at = 0; at < sums.length; at++) totals[Math.floor(at / count)] += sums[at];
  const planes = new Float32Array(COLOURS * count);
  for (let plane = 0; plane < COLOURS; plane++) planes.fill(totals[plane] / Math.max(totals[COLOURS], 1e-6), plane * count, (plane + 1) * count);
  return planes;
}

/** The means of 2 x 2 cells; beyond the rim there are zeros. */
function halved(planes, rows, columns) {
  const [halfRows, halfColumns] = [Math.ceil(rows / 2), Math.ceil(columns / 2)];
  const result = new Float32Array((planes.length / (rows * columns)) * halfRows * halfColumns);
  for (let line = 0, from = 0; from < planes.length; line++) {
    const row = line % rows;
    const to = (Math.floor(line / rows) * halfRows + (row >> 1)) * halfColumns;
    for (let column = 0; column < columns; column++, from++) result[to + (column >> 1)] += planes[from] / 4;
  }
  return result;
}

/** Planes at twice the size, interpolated, cut to `toRows` x `toColumns`. */
function doubled(planes, rows, columns, toRows, toColumns) {
  const result = new Float32Array((planes.length / (rows * columns)) * toRows * toColumns);
  for (let line = 0, to = 0; to < result.length; line++) {
    const row = line % toRows;
    const first = Math.floor(line / toRows) * rows;
    const near = (first + (row >> 1)) * columns;
    const far = (first + neighbour(row, rows)) * columns;
    for (let column = 0; column < toColumns; column++, to++) {
      const [own, other] = [column >> 1, neighbour(column, columns)];
      result[to] = 0.75 * (0.75 * planes[near + own] + 0.25 * planes[far + own]) + 0.25 * (0.75 * planes[near + other] + 0.25 * planes[far + other]);
    }
  }
  return result;
}

/** The second nearest cell of `count` to a place at twice the resolution; at the rim the nearest. */
function neighbour(place, count) {
  return Math.min(Math.max((place >> 1) + (place % 2 ? 1 : -1), 0), count - 1);
}

/** The weighted means over 3 x 3 cells; at the rim a cell is its own neighbour. */
function smoothed(planes, rows, columns) {
  const result = new Float32Array(planes.length);
  const means = new Float32Array(columns);
  for (let line = 0, own = 0; own < planes.length; line++, own += columns) {
    const row = line % rows;
    const above = own - (row > 0 ? columns : 0);
    const below = own + (row < rows - 1 ? columns : 0);
    for (let at = 0; at < columns; at++) means[at] = planes[own + at] / 2 + (planes[above + at] + planes[below + at]) / 4;
    for (let at = 0; at < columns; at++) {
      result[own + at] = means[at] / 2 + (means[Math.max(at - 1, 0)] + means[Math.min(at + 1, columns - 1)]) / 4;
    }
  }
  return result;
}
