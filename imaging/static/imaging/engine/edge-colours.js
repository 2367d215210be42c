// Takes the colour of the old background out of the edge. A port of imaging/core/finishing/edge_colours.py, whose comments
// explain the method and its constants: the server and the browser must give an edge the same colours.

import { Grid, interpolate, placeIn } from "./cells.js";
import { spread } from "./spreading.js";

// The longer side in cells.
const CELLS = 256;
const SHARPNESS = 16;
const OPACITY = Float64Array.from({ length: 256 }, (_, grey) => (grey / 255) ** SHARPNESS);
// In cells: further from all edges a cell's colours are not read.
const REACH = 8;
// The weight from which a cell is surely subject.
const SURE = 0.3;
// Edge colours are replaced up to the first distance from sure subject, in cells, and less and less up to the second.
const [NEAR, FAR] = [12, 24];
// So they are up to the first distance from the mixtures of subject and background, 0-1, and less and less up to the second.
const [MIXED, OTHER] = [0.05, 0.15];
// A cell's matte is 0 throughout, 255 throughout, or there is an edge.
const [BACKGROUND, SUBJECT, EDGE] = [0, 1, 2];
// What is interpolated for a pixel: the colours of subject and background, and how far they are trusted.
const [BEHIND, TRUST, TERMS] = [3, 6, 7];

/**
 * Give the pixels of `raster` ({width, height, data: straight RGBA}) where `matte` (a byte a pixel) is between 0 and 255 the
 * subject's colour, in place. All other pixels, and the raster's own alpha, keep every bit.
 */
export function decontaminate(raster, matte) {
  const grid = new Grid(raster, Math.ceil(Math.max(raster.width, raster.height) / CELLS));
  const kinds = kindsOf(matte, grid);
  const reach = reachOf(kinds, grid);
  if (reach === null) return;
  const [subject, background] = summed(raster, matte, kinds, reach, grid);
  // Without a cell's worth of sure subject and of sure background there is nothing to tell them apart by.
  if (Math.min(weightOf(subject, grid), weightOf(background, grid)) < 1) return;
  const terms = termsOf(subject, background, grid);
  const corners = new Float64Array(9 * TERMS);
  grid.each((place, cell) => {
    if (kinds[place] !== EDGE) return;
    grid.corners(terms, TERMS, place, corners);
    recolour(raster, matte, cell, corners, grid.side);
  }, reach);
}

function kindsOf(matte, { width, height, side, columns, count }) {
  const every = new Uint8Array(count).fill(255);
  const some = new Uint8Array(count);
  for (let y = 0, at = 0; y < height; y++) {
    const first = Math.floor(y / side) * columns;
    for (let column = 0, end = at; column < columns; column++) {
      end = Math.min(end + side, (y + 1) * width);
      let [all, any] = [255, 0];
      for (; at < end; at++) {
        all &= matte[at];
        any |= matte[at];
      }
      every[first + column] &= all;
      some[first + column] |= any;
    }
  }
  return every.map((all, place) => (all === 255 ? SUBJECT : some[place] ? EDGE : BACKGROUND));
}

/** The box of all edges and REACH more on each side, in cells; null without an edge. */
function reachOf(kinds, { columns, rows }) {
  const box = { left: columns, top: rows, right: -1, bottom: -1 };
  for (let place = 0; place < kinds.length; place++) {
    if (kinds[place] !== EDGE) continue;
    const [row, column] = [Math.floor(place / columns), place % columns];
    box.left = Math.min(box.left, column);
    box.right = Math.max(box.right, column + 1);
    box.top = Math.min(box.top, row);
    box.bottom = row + 1;
  }
  if (box.bottom < 0) return null;
  const [left, top] = [Math.max(0, box.left - REACH), Math.max(0, box.top - REACH)];
  return { left, top, right: Math.min(columns, box.right + REACH), bottom: Math.min(rows, box.bottom + REACH) };
}

/** For each cell the weighted colours and the weight of the subject, 0-1, in four planes, and those of the background. */
function summed(raster, matte, kinds, reach, grid) {
  const sums = [BACKGROUND, SUBJECT].map(() => new Float32Array(4 * grid.count));
  const [background, subject] = sums;
  grid.each((place, cell) => {
    if (kinds[place] !== EDGE) return put(pureSums(raster, cell), sums[kinds[place]], place, grid);
    const mixed = mixedSums(raster, matte, cell, grid.side);
    put(mixed.subarray(0, 4), subject, place, grid);
    put(mixed.subarray(4), background, place, grid);
  }, reach);
  return [subject, background];
}

function put(values, planes, place, grid) {
  for (let plane = 0; plane < 4; plane++) planes[plane * grid.count + place] = values[plane];
}

/** Red, green and blue times alpha, and alpha: the means over a cell, which Pillow rounds to bytes. */
function pureSums({ width, data }, { left, top, right, bottom }) {
  let [red, green, blue, alpha] = [0, 0, 0, 0];
  for (let y = top; y < bottom; y++) {
    for (let at = 4 * (y * width + left), end = 4 * (y * width + right); at < end; at += 4) {
      const own = data[at + 3];
      red += own * data[at];
      green += own * data[at + 1];
      blue += own * data[at + 2];
      alpha += own;
    }
  }
  const count = (bottom - top) * (right - left);
  const mean = (sum) => Math.trunc((sum + (count >> 1)) / count) / 255;
  return [mean(red / 255), mean(green / 255), mean(blue / 255), mean(alpha)];
}

/** The same of the subject, then of the background, of a cell with an edge, whose last row and column go on beyond the rim. */
function mixedSums({ width, data }, matte, { left, top, right, bottom }, side) {
  const sums = new Float64Array(8);
  for (let y = top; y < top + side; y++) {
    const line = Math.min(y, bottom - 1) * width;
    for (let x = left; x < left + side; x++) {
      const at = line + Math.min(x, right - 1);
      addWeighted(sums, 0, data, 4 * at, OPACITY[matte[at]]);
      addWeighted(sums, 4, data, 4 * at, OPACITY[255 - matte[at]]);
    }
  }
  return sums.map((sum) => sum / (side * side));
}

function addWeighted(sums, first, data, at, opacity) {
  const weight = (opacity * data[at + 3]) / 255;
  for (let band = 0; band < 3; band++) sums[first + band] += (weight * data[at + band]) / 255;
  sums[first + 3] += weight;
}

function weightOf(planes, { count }) {
  return planes.subarray(3 * count).reduce((sum, weight) => sum + weight, 0);
}

/** TERMS values for each cell. */
function termsOf(subject, background, { rows, columns, count }) {
  const terms = new Float32Array(TERMS * count);
  const colours = [spread(subject, rows, columns), spread(background, rows, columns)];
  const trust = trustOf(subject.subarray(3 * count), rows, columns);
  for (let place = 0; place < count; place++) {
    for (let band = 0; band < 3; band++) {
      terms[place * TERMS + band] = colours[0][band * count + place];
      terms[place * TERMS + BEHIND + band] = colours[1][band * count + place];
    }
    terms[place * TERMS + TRUST] = trust[place];
  }
  return terms;
}

/** 1 to 0 for each cell, the less the further it is from those that are surely subject: see NEAR and FAR. */
function trustOf(weights, rows, columns) {
  const steps = Float32Array.from(weights, (weight) => (weight >= SURE ? 0 : FAR));
  const step = (row, column) => (row < 0 || row >= rows || column < 0 || column >= columns ? FAR : steps[row * columns + column]);
  // Forwards from the cells above and before, then backwards: exact where diagonal steps count as much as straight ones.
  for (const way of [1, -1]) {
    for (let index = 0; index < steps.length; index++) {
      const place = way === 1 ? index : steps.length - 1 - index;
      const [row, column] = [Math.floor(place / columns), place % columns];
      const nearest = Math.min(step(row, column - way), step(row - way, column - 1), step(row - way, column), step(row - way, column + 1));
      steps[place] = Math.min(steps[place], nearest + 1);
    }
  }
  return steps.map((distance) => Math.min((FAR - distance) / (FAR - NEAR), 1));
}

/** Give the edge pixels of a cell the subject's colour, in place. */
function recolour({ width, data }, matte, { left, top, right, bottom }, corners, side) {
  const line = new Float64Array(3 * TERMS);
  const terms = new Float64Array(TERMS);
  for (let y = top; y < bottom; y++) {
    interpolate(corners, 3 * TERMS, placeIn(y - top, side), line);
    for (let x = left; x < right; x++) {
      const grey = matte[y * width + x];
      if (grey === 0 || grey === 255) continue;
      interpolate(line, TERMS, placeIn(x - left, side), terms);
      recolourPixel(data, 4 * (y * width + x), grey / 255, terms);
    }
  }
}

function recolourPixel(data, at, alpha, terms) {
  const trust = terms[TRUST] * explained(data, at, terms);
  for (let band = 0; band < 3; band++) {
    const [subject, background, own] = [terms[band], terms[BEHIND + band], data[at + band] / 255];
    const rest = own - background - alpha * (subject - background);
    data[at + band] = 255 * (own + trust * (subject + alpha * alpha * rest - own));
  }
}

/** 1 where a pixel's colour is a mixture of the subject's and the background's about it, down to 0 where it is another. */
function explained(data, at, terms) {
  let [along, square, length] = [0, 0, 0];
  for (let band = 0; band < 3; band++) {
    const towards = terms[band] - terms[BEHIND + band];
    const own = data[at + band] / 255 - terms[BEHIND + band];
    along += towards * own;
    square += towards * towards;
    length += own * own;
  }
  const share = Math.min(Math.max(along / Math.max(square, 1e-6), 0), 1);
  const distance = Math.sqrt(Math.max(length - share * (2 * along - share * square), 0));
  return Math.min(Math.max((OTHER - distance) / (OTHER - MIXED), 0), 1);
}
