// Where the subject goes on the delivered canvas, and how large: imaging/core/finishing/placement.py, which explains it.
// Boxes are [left, top, right, bottom], sizes {width, height}, in pixels; halves are rounded up.

import { fittedSize, quarterTurns } from "../geometry.js";
import { inPixels } from "./values.js";

/**
 * The part `source` of a rotated image of size `image`, resized to `size`, at `place` [left, top] on a `canvas`.
 *
 * `box` is the subject's, null without one. `subject` of the result is its box on the canvas, null without one.
 */
export function place(image, box, plan) {
  const whole = [0, 0, image.width, image.height];
  const subject = box ?? whole;
  const placed = placedBy(image, subject, box !== null, plan, touched(image, subject, plan));
  return { ...placed, subject: box && onCanvas(placed, box) };
}

function placedBy(image, subject, hasSubject, plan, sides) {
  if (plan.pad) return padded(image, plan.crop ? subject : [0, 0, image.width, image.height], plan, sides);
  if (plan.crop) return cropped(image, subject, plan, sides);
  const canvas = fittedSize(image, plan.w, plan.h, plan.exact);
  const isMoved = plan.scale !== null || ![null, "original"].includes(plan.position);
  if (hasSubject && isMoved) return moved(image, subject, canvas, plan, sides);
  return { source: [0, 0, image.width, image.height], size: canvas, canvas, place: [0, 0] };
}

/** The subject's box in pixels of the canvas. */
function onCanvas({ source, size, canvas, place: at }, box) {
  const scales = [size.width / (source[2] - source[0]), size.height / (source[3] - source[1])];
  const spans = scales.map((scale, axis) => {
    const end = rounded((box[axis + 2] - source[axis]) * scale);
    const start = Math.min(rounded((box[axis] - source[axis]) * scale), Math.max(0, end - 1));
    return [at[axis] + start, at[axis] + Math.max(end, start + 1)];
  });
  const within = ([start, end], side) => [Math.max(0, start), Math.min(side, end)];
  const [[left, right], [top, bottom]] = [within(spans[0], canvas.width), within(spans[1], canvas.height)];
  return [left, top, right, bottom];
}

/** Which sides of the image cut the subject off; only of one that stands upright. */
function touched(image, box, { snap, angle }) {
  const none = { top: false, right: false, bottom: false, left: false };
  const [left, top, right, bottom] = [box[0] === 0, box[1] === 0, box[2] === image.width, box[3] === image.height];
  const isWhole = left && top && right && bottom;
  return !snap || quarterTurns(angle) === null || isWhole ? none : { top, right, bottom, left };
}

/** Lengths of the four sides, 0 at those that the subject touches. */
function withoutTouched(lengths, sides) {
  const flags = [sides.top, sides.right, sides.bottom, sides.left];
  return lengths.map((length, side) => (flags[side] ? { ...length, value: 0 } : length));
}

/** Where in the free space the subject goes, in per cent across and down. */
function positionOf(image, box, sides, { position }) {
  let [across, down] = position ?? [50, 50];
  if (position === "original") {
    const free = [image.width - (box[2] - box[0]), image.height - (box[3] - box[1])];
    [across, down] = free.map((space, axis) => (space ? (100 * box[axis]) / space : 50));
  }
  if (sides.left !== sides.right) across = sides.left ? 0 : 100;
  if (sides.top !== sides.bottom) down = sides.top ? 0 : 100;
  return [across, down];
}

const NOT_TOUCHED = { top: false, right: false, bottom: false, left: false };

function padded(image, source, plan, sides) {
  const held = plan.crop ? sides : NOT_TOUCHED;
  const canvas = { width: plan.w, height: plan.h };
  const [top, right, bottom, left] = withoutTouched(plan.padding, held);
  const start = [rounded(inPixels(left, plan.w)), rounded(inPixels(top, plan.h))];
  const end = [rounded(inPixels(right, plan.w)), rounded(inPixels(bottom, plan.h))];
  const room = [Math.max(1, plan.w - start[0] - end[0]), Math.max(1, plan.h - start[1] - end[1])];
  const share = (plan.scale ?? 100) / 100;
  const limit = plan.scale === null ? room : room.map((space, axis) => Math.min(space, Math.max(1, Math.floor([plan.w, plan.h][axis] * share))));
  const size = fittedSize({ width: source[2] - source[0], height: source[3] - source[1] }, limit[0], limit[1], false);
  const [across, down] = positionOf(image, source, held, plan);
  const x = start[0] + rounded(((room[0] - size.width) * across) / 100);
  const y = start[1] + rounded(((room[1] - size.height) * down) / 100);
  return { source, size, canvas, place: [x, y] };
}

function moved(image, box, canvas, plan, sides) {
  const factor = scaleFactor(image, box, plan);
  const width = Math.min(canvas.width, Math.max(1, rounded(((box[2] - box[0]) * factor * canvas.width) / image.width)));
  const height = Math.min(canvas.height, Math.max(1, rounded(((box[3] - box[1]) * factor * canvas.height) / image.height)));
  const [across, down] = positionOf(image, box, sides, plan);
  const x = rounded(((canvas.width - width) * across) / 100);
  const y = rounded(((canvas.height - height) * down) / 100);
  return { source: box, size: { width, height }, canvas, place: [x, y] };
}

function scaleFactor(image, box, { scale }) {
  return scale === null ? 1 : (scale / 100) * Math.min(image.width / (box[2] - box[0]), image.height / (box[3] - box[1]));
}

function cropped(image, box, plan, sides) {
  const [top, right, bottom, left] = withoutTouched(plan.margin, sides);
  const axes = [
    { whole: plan.w, length: box[2] - box[0], margins: [left, right] },
    { whole: plan.h, length: box[3] - box[1], margins: [top, bottom] },
  ];
  const factors = axes.map(({ whole, length, margins }) => (whole === null ? null : factorOf(whole, length, margins)));
  const given = factors.filter((factor) => factor !== null);
  const common = given.length ? Math.min(...given) : scaleFactor(image, box, plan);
  const isExact = plan.exact && given.length === 2;
  const [across, down] = axes.map((axis, at) => along(axis, isExact ? factors[at] : common, factors[at]));
  return {
    source: box, size: { width: across.size, height: down.size }, canvas: { width: across.whole, height: down.whole },
    place: [across.before, down.before],
  };
}

/** The scale at which `length` and its margins fill `whole`: those in px are of the result, those in % grow with it. */
function factorOf(whole, length, margins) {
  const sum = (unit) => margins.reduce((total, margin) => total + (margin.unit === unit ? margin.value : 0), 0);
  return Math.max(0, whole - sum("px")) / (length * (1 + sum("%") / 100));
}

/** The canvas along one axis, and the subject's span on it. */
function along({ whole, length, margins }, scale, factor) {
  let size = Math.max(1, rounded(length * scale));
  let [before, after] = margins.map(({ value, unit }) => rounded(unit === "px" ? value : (length * scale * value) / 100));
  if (whole !== null && (factor === scale || before + size + after > whole)) {
    before = Math.min(before, whole - 1);
    after = Math.min(after, whole - 1 - before);
    size = whole - before - after;
  }
  return { whole: before + size + after, before, size };
}

// A millionth is floating-point error.
function rounded(value) {
  return Math.floor(value + 0.5 + 1e-6);
}
