// Moves the edge of a brush stroke to the image's own.
//
// A hand misses the edge by a few pixels, so the stroke's values near its rim hardly count. There, alpha is a linear function of
// the colour, fitted to the certain pixels around it (as in imaging/core/matting/refine.py), if such a fit is good. This
// applies only near an edge of the matte: a stroke across the subject cuts where it was drawn.
//
// The constants were chosen with tests/bench/bench_stroke_edge.py, on the half of its images that it does not report on.

import { Grid, interpolate, placeIn } from "./cells.js";

// A cell is this part of `reach`: a fit needs no more detail. More cells than the second figure would take too long.
const CELLS_IN_REACH = 2;
const MOST_CELLS = 20_000;
// A fit looks at the (2 * 4 + 1)² cells around its own, twice the reach on each side.
const RADIUS = 4;
// An edge of the matte is near within so many times the reach, and counts fully from an eighth of the way.
const NEAR_MATTE = 2;
const GAIN_OF_NEARNESS = 8;
// From this share of the way to the rim on a fit counts fully.
const FULLY = 0.5;
// A cell's weight falls with the square of its uncertainty and the fourth power of its nearness to the rim; the least weight.
const LEAST_WEIGHT = 0.002;
// Regularisation of the fit, in squared units of colour, 0-1; of its quality, in squared units of alpha.
const COLOUR_NOISE = 3e-5;
const ALPHA_NOISE = 3e-3;
// Contrast about the middle given back to a fit: texture flattens it, the more the worse it fits.
const GAIN_OF_MISFIT = 1.5;
// A fit of less than the first quality does not count, from the second on it counts fully.
const [POOR, GOOD] = [0.1, 0.6];
// What changes nothing of 255.
const LEAST_SHARE = 0.002;
// Of a cell: the mean colour, alpha after the stroke, and how much of it is inside the stroke and inside the subject.
const [STROKE, SUBJECT, MEASURES] = [4, 5, 6];
// Of a fit: the slopes of red, green and blue, a constant, and the share that it counts, by which the others are multiplied.
const [CONSTANT, SHARE, TERMS] = [3, 4, 5];

/**
 * The matte after a brush stroke, as bytes of 0-255.
 *
 * `rgba` has the original's pixels in a window around the stroke, `before` the matte there, and `stroke` how much of each pixel
 * the stroke covers, both as bytes. `keeps` is true for a stroke to 255, false for one to 0; `reach` is how many pixels of the
 * window the edge may move. The window should hold some four times the reach around the stroke.
 */
export function refineStroke(rgba, before, stroke, width, height, { keeps, reach }) {
  const after = painted(before, stroke, keeps);
  const side = Math.ceil(Math.max(reach / CELLS_IN_REACH, Math.sqrt((width * height) / MOST_CELLS)));
  const grid = new Grid({ width, height }, side);
  const measures = measured(rgba, before, stroke, after, grid);
  const rim = nearness(measures[STROKE], reach, grid);
  const edge = nearness(measures[SUBJECT], NEAR_MATTE * reach, grid);
  const share = rim.map((near, place) => Math.min(near / FULLY, 1) * Math.min(GAIN_OF_NEARNESS * edge[place], 1));
  if (!share.some(Boolean)) return after;
  const fits = fitted(measures, rim, share, grid);
  const isUsed = boxSum(share.map((_, place) => fits[place * TERMS + SHARE]), grid.rows, grid.columns, 1);
  const corners = new Float64Array(9 * TERMS);
  grid.each((place, cell) => {
    if (isUsed[place] < LEAST_SHARE) return;
    grid.corners(fits, TERMS, place, corners);
    redraw(after, before, rgba, cell, corners, grid, keeps ? Math.max : Math.min);
  });
  return after;
}

/** The matte after a stroke that follows nothing. */
export function painted(before, stroke, keeps) {
  const wanted = keeps ? 255 : 0;
  const after = new Uint8ClampedArray(before);
  for (let at = 0; at < after.length; at++) if (stroke[at] > 0) after[at] += ((wanted - after[at]) * stroke[at]) / 255;
  return after;
}

/** MEASURES planes of a value for each cell, 0-1. */
function measured(rgba, before, stroke, after, grid) {
  const planes = Array.from({ length: MEASURES }, () => new Float64Array(grid.count));
  grid.each((place, { left, top, right, bottom }) => {
    let [red, green, blue, alpha, inStroke, inSubject] = [0, 0, 0, 0, 0, 0];
    for (let y = top; y < bottom; y++) {
      for (let at = y * grid.width + left, end = y * grid.width + right; at < end; at++) {
        red += rgba[4 * at];
        green += rgba[4 * at + 1];
        blue += rgba[4 * at + 2];
        alpha += after[at];
        inStroke += stroke[at] >> 7;
        inSubject += before[at] >> 7;
      }
    }
    const pixels = (bottom - top) * (right - left);
    [red, green, blue, alpha].forEach((sum, plane) => { planes[plane][place] = sum / (255 * pixels); });
    planes[STROKE][place] = inStroke / pixels;
    planes[SUBJECT][place] = inSubject / pixels;
  });
  return planes;
}

/** For each cell 1 on the rim of what `inside` (0-1) marks, down to 0 at `reach` pixels from it. */
function nearness(inside, reach, { rows, columns, side }) {
  const radius = Math.max(1, Math.round(reach / side));
  const cells = boxSum(new Float64Array(inside.length).fill(1), rows, columns, radius);
  return boxSum(inside, rows, columns, radius).map((sum, place) => Math.max(0, 1 - Math.abs((2 * sum) / cells[place] - 1)));
}

/** The sums over (2 radius + 1)² cells; outside there are zeros. */
function boxSum(plane, rows, columns, radius) {
  const across = new Float64Array(plane.length);
  for (let row = 0; row < rows; row++) sumLine(plane, across, row * columns, 1, columns, radius);
  const result = new Float64Array(plane.length);
  for (let column = 0; column < columns; column++) sumLine(across, result, column, columns, rows, radius);
  return result;
}

function sumLine(plane, result, first, step, count, radius) {
  let sum = 0;
  for (let at = 0; at < Math.min(radius, count); at++) sum += plane[first + at * step];
  for (let at = 0; at < count; at++) {
    if (at + radius < count) sum += plane[first + (at + radius) * step];
    if (at > radius) sum -= plane[first + (at - radius - 1) * step];
    result[first + at * step] = sum;
  }
}

/** The weighted ridge regressions of alpha on colour: TERMS values for each cell that has a `share`. */
function fitted(measures, rim, share, grid) {
  const [red, green, blue, alpha] = measures;
  const one = new Float64Array(grid.count).fill(1);
  const weight = rim.map((near, place) => ((2 * alpha[place] - 1) * (1 - near) * (1 - near)) ** 2 + LEAST_WEIGHT);
  const pairs = [[one, one], [red, one], [green, one], [blue, one], [alpha, one], [red, red], [red, green], [red, blue],
    [green, green], [green, blue], [blue, blue], [red, alpha], [green, alpha], [blue, alpha], [alpha, alpha]];
  const sums = pairs.map(([first, second]) => boxSum(weight.map((value, at) => value * first[at] * second[at]), grid.rows, grid.columns, RADIUS));
  const fits = new Float64Array(grid.count * TERMS);
  const values = new Float64Array(pairs.length);
  for (let place = 0; place < grid.count; place++) {
    if (share[place] === 0) continue;
    for (let at = 0; at < values.length; at++) values[at] = sums[at][place] / sums[0][place];
    fit(values, share[place], fits, place * TERMS);
  }
  return fits;
}

/** Put the TERMS of one regression into `fits` from place `to` on: see `fitted` for the `means` of products. */
function fit([, r, g, b, alpha, rr, rg, rb, gg, gb, bb, ra, ga, ba, aa], share, fits, to) {
  const [redToAlpha, greenToAlpha, blueToAlpha] = [ra - r * alpha, ga - g * alpha, ba - b * alpha];
  const slopes = solved(
    [rr - r * r + COLOUR_NOISE, rg - r * g, rb - r * b, gg - g * g + COLOUR_NOISE, gb - g * b, bb - b * b + COLOUR_NOISE],
    [redToAlpha, greenToAlpha, blueToAlpha],
  );
  const [red, green, blue] = slopes;
  const explained = (red * redToAlpha + green * greenToAlpha + blue * blueToAlpha) / (aa - alpha * alpha + ALPHA_NOISE);
  const quality = Math.min(Math.max(explained, 0), 1);
  const gain = 1 + GAIN_OF_MISFIT * Math.sqrt(1 - quality);
  const counts = share * Math.min(Math.max((quality - POOR) / (GOOD - POOR), 0), 1);
  slopes.forEach((slope, band) => { fits[to + band] = counts * gain * slope; });
  fits[to + CONSTANT] = counts * 255 * (0.5 + gain * (alpha - red * r - green * g - blue * b - 0.5));
  fits[to + SHARE] = counts;
}

/** x of A x = b by Cramer's rule; A is given by its upper triangle. */
function solved([a, b, c, d, e, f], [x, y, z]) {
  const [aa, ab, ac] = [d * f - e * e, c * e - b * f, b * e - c * d];
  const [bb, bc, cc] = [a * f - c * c, b * c - a * e, a * d - b * b];
  const determinant = a * aa + b * ab + c * ac;
  return [(aa * x + ab * y + ac * z) / determinant, (ab * x + bb * y + bc * z) / determinant, (ac * x + bc * y + cc * z) / determinant];
}

/** Mix the fits into the matte of a cell, in place. A stroke takes nothing away that it restores, and the other way around. */
function redraw(after, before, rgba, { left, top, right, bottom }, corners, { width, side }, bound) {
  const line = new Float64Array(3 * TERMS);
  const terms = new Float64Array(TERMS);
  for (let y = top; y < bottom; y++) {
    interpolate(corners, 3 * TERMS, placeIn(y - top, side), line);
    for (let x = left, at = y * width + left; x < right; x++, at++) {
      interpolate(line, TERMS, placeIn(x - left, side), terms);
      const share = terms[SHARE];
      if (share < LEAST_SHARE) continue;
      const grey = (terms[0] * rgba[4 * at] + terms[1] * rgba[4 * at + 1] + terms[2] * rgba[4 * at + 2] + terms[CONSTANT]) / share;
      after[at] = bound(after[at] + share * (Math.min(Math.max(grey, 0), 255) - after[at]), before[at]);
    }
  }
}
