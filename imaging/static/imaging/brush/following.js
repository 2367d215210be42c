// Lets the edge of a finished stroke follow the image's, which a hand misses by a few pixels. Measured in docs/benchmarks.md.

import { refineStroke } from "../engine/refine.js";
import { readTile, tilesIn } from "./tiles.js";

// The edge moves by at most the brush's radius, within these pixels; a smaller brush draws what it is meant to draw.
const [LEAST_REACH, MOST_REACH] = [4, 64];
// The margin that `refineStroke` needs around a stroke, as a multiple of the reach.
const MARGIN = 4;
// A long stroke is refined in blocks, so that its window does not fill the memory: 16 MB for each of these squared.
const BLOCK = 1536;

/**
 * Refine a stroke (see strokes.js) on its matte, in place. `readColours(rect)` returns the original's RGBA bytes there. The tiles
 * that are changed beyond the stroke's own are noted in its `before`. Returns the rectangle that may have changed, or null.
 */
export function followEdges(stroke, readColours) {
  const reach = Math.min(MOST_REACH, Math.round(stroke.radius));
  if (reach < LEAST_REACH || stroke.bounds === null) return null;
  const area = grown(stroke.bounds, reach, stroke.matte);
  // The blocks are read from the matte as the stroke has left it, and written afterwards.
  const redrawn = blocksOf(area).filter((block) => isTouched(stroke, grown(block, reach, stroke.matte))).map((block) => {
    const window = grown(block, MARGIN * reach, stroke.matte);
    return { block, window, values: refined(stroke, window, readColours(window), reach) };
  });
  for (const one of redrawn) write(stroke, one);
  return area;
}

function refined(stroke, window, colours, reach) {
  const { before, coverage } = stroke.read(window);
  return refineStroke(colours, before, coverage, window.right - window.left, window.bottom - window.top, { keeps: stroke.keeps, reach });
}

function write({ before, matte }, { block, window, values }) {
  for (const tile of tilesIn(matte, block)) if (!before.has(tile)) before.set(tile, readTile(matte, tile));
  const { data, width, ceiling } = matte;
  for (let row = block.top; row < block.bottom; row++) {
    const from = (row - window.top) * (window.right - window.left) - window.left;
    for (let column = block.left, at = row * width + block.left; column < block.right; column++, at++) {
      const value = values[from + column];
      // The stroke raises no value above the original's alpha; a value that was above it before may stay there.
      data[at] = ceiling === null || value <= ceiling[at] ? value : Math.max(Math.min(value, data[at]), ceiling[at]);
    }
  }
}

/** A rectangle in equal parts, none of them with a side longer than BLOCK. */
function blocksOf({ left, top, right, bottom }) {
  const [columns, rows] = [Math.ceil((right - left) / BLOCK), Math.ceil((bottom - top) / BLOCK)];
  const cut = (from, to, part, parts) => from + Math.round(((to - from) * part) / parts);
  return Array.from({ length: columns * rows }, (_, index) => {
    const [column, row] = [index % columns, Math.floor(index / columns)];
    return {
      left: cut(left, right, column, columns),
      top: cut(top, bottom, row, rows),
      right: cut(left, right, column + 1, columns),
      bottom: cut(top, bottom, row + 1, rows),
    };
  });
}

const isTouched = ({ matte, coverage }, rect) => tilesIn(matte, rect).some((tile) => coverage.has(tile));

function grown({ left, top, right, bottom }, margin, { width, height }) {
  return {
    left: Math.max(0, left - margin),
    top: Math.max(0, top - margin),
    right: Math.min(width, right + margin),
    bottom: Math.min(height, bottom + margin),
  };
}
