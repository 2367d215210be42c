// Handles on the stage: margins are dragged at their sides, and the subject to its place. By pointer or by arrow keys.

import { number, percent } from "./messages.js";
import { isOneLength, sidesOf, textOfSides } from "./panels/fields.js";

const SIDES = ["top", "right", "bottom", "left"];
// The limits of the API: margins of a crop, and room inside a canvas.
const MOST = { crop_margin: { "%": 50, px: 500 }, padding: { "%": 45, px: 10_000 } };
const COARSE = 10;
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
const halves = (value) => Math.round(value * 2) / 2;
const isAcross = (side) => side % 2 === 1;

/** `layer` lies over the result; `onChange(options)` gets what a handle changes, `onEnd()` is called after each movement. */
export class Handles {
  constructor(layer, { onChange, onEnd }) {
    Object.assign(this, { layer, onChange, onEnd, geometry: null, options: null, held: [] });
    this.frame = element("div", "handles-frame");
    this.box = this.makeSlider("handle-box", () => this.grabSubject(), (key, step) => this.nudgeSubject(key, step));
    this.sides = SIDES.map((side, at) => this.makeSlider(`handle handle-${side}`, () => this.grabSide(at), (key, step) => this.nudgeSide(at, key, step)));
    layer.append(this.frame, this.box, ...this.sides);
  }

  /** A focusable part: `grab()` returns what a movement by canvas pixels does, `nudge(key, step)` does what a key asks for. */
  makeSlider(className, grab, nudge) {
    const handle = element("div", className);
    Object.assign(handle, { tabIndex: 0, role: "slider" });
    handle.addEventListener("pointerdown", (event) => this.drag(handle, event, grab()));
    handle.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || !nudge(event.key, event.shiftKey ? COARSE : 1)) return;
      event.preventDefault();
      this.onEnd();
    });
    return handle;
  }

  drag(handle, event, move) {
    if (event.button !== 0 || !move) return;
    event.preventDefault();
    handle.focus();
    handle.setPointerCapture(event.pointerId);
    const scale = this.geometry.canvas.width / this.layer.clientWidth;
    const follow = ({ clientX, clientY }) => move((clientX - event.clientX) * scale, (clientY - event.clientY) * scale);
    const end = () => {
      handle.removeEventListener("pointermove", follow);
      this.onEnd();
    };
    handle.addEventListener("pointermove", follow);
    for (const name of ["pointerup", "pointercancel"]) handle.addEventListener(name, end, { once: true });
  }

  /** Show handles for a result of the options `drawn`: its canvas, and the subject's box on it. `options` may be newer. */
  show(geometry, drawn, options) {
    Object.assign(this, { geometry, options: drawn });
    this.held = SIDES.map((_, side) => this.isHeld(side));
    this.options = options;
    this.showSides();
    this.showSubject(geometry.subject);
  }

  /** Move the handles before the result of a change is there. */
  anticipate(options) {
    if (this.geometry === null) return;
    const { canvas, subject } = this.geometry;
    const isSameCanvas = options.fit === this.options.fit && options.crop === this.options.crop && !this.isCut;
    this.options = options;
    this.showSides();
    if (!isSameCanvas || !subject || !options.position || options.position === "original") return;
    const [x, y] = options.position.split(" ").map(Number);
    const { start, free } = this.room();
    const [left, top] = [start[0] + (free[0] * x) / 100, start[1] + (free[1] * y) / 100];
    this.geometry = { canvas, subject: [left, top, left + subject[2] - subject[0], top + subject[3] - subject[1]] };
    this.showSubject(this.geometry.subject);
  }

  /** Whether the canvas is cut to the subject, so that margins make it larger. */
  get isCut() {
    return this.options.crop && this.options.fit !== "pad";
  }

  get field() {
    return this.options.fit === "pad" ? "padding" : "crop_margin";
  }

  /** Canvas pixels in one unit of a side: per cent of a canvas that is fixed, or of the subject. */
  unitOf(side) {
    const [, unit] = sidesOf(this.options[this.field])[side];
    if (unit === "px") return 1;
    const { canvas, subject } = this.geometry;
    if (!this.isCut) return (isAcross(side) ? canvas.width : canvas.height) / 100;
    const [left, top, right, bottom] = subject ?? [0, 0, canvas.width, canvas.height];
    return Math.max(1, isAcross(side) ? right - left : bottom - top) / 100;
  }

  /** The largest value of a side: within the API's limit, with room for the subject. */
  mostOf(side) {
    const lengths = sidesOf(this.options[this.field]);
    const most = MOST[this.field][lengths[side][1]];
    if (this.isCut) return most;
    const { canvas } = this.geometry;
    const whole = (isAcross(side) ? canvas.width : canvas.height) / this.unitOf(side);
    const rest = isOneLength(this.options[this.field]) ? whole / 2 : whole - lengths[(side + 2) % 4][0];
    return Math.max(0, Math.min(most, Math.floor(rest) - 1));
  }

  setSide(side, value) {
    const text = this.options[this.field];
    const lengths = sidesOf(text);
    const [, unit] = lengths[side];
    const isOne = isOneLength(text);
    const rounded = clamp(unit === "px" ? Math.round(value) : halves(value), 0, this.mostOf(side));
    const values = lengths.map(([old], at) => (isOne || at === side ? rounded : old));
    this.onChange({ [this.field]: textOfSides(values, unit, isOne) });
  }

  grabSide(side) {
    const [from] = sidesOf(this.options[this.field])[side];
    const unit = this.unitOf(side);
    // A margin grows outwards, room inside a canvas inwards.
    const sign = (side === 0 || side === 3 ? 1 : -1) * (this.isCut ? -1 : 1);
    return (x, y) => this.setSide(side, from + (sign * (isAcross(side) ? x : y)) / unit);
  }

  nudgeSide(side, key, step) {
    const [value] = sidesOf(this.options[this.field])[side];
    const to = keyed(key, value, step, this.mostOf(side));
    if (to !== null) this.setSide(side, to);
    return to !== null;
  }

  /** Whether a side has no margin because the photograph cuts the subject off there: it stays at the edge. */
  isHeld(side) {
    const { canvas, subject } = this.geometry;
    const { snap, crop, fit } = this.options;
    if (!subject || !(snap ?? crop ?? fit === "pad")) return false;
    const [left, top, right, bottom] = subject;
    const room = [top, canvas.width - right, canvas.height - bottom, left][side];
    const [value] = sidesOf(this.options[this.field])[side];
    // Two pixels are of rounding.
    return value * this.unitOf(side) > room + 2;
  }

  /** What the margins take from a fixed canvas at each side, in its pixels. */
  insets() {
    if (this.options.fit !== "pad") return [0, 0, 0, 0];
    return sidesOf(this.options.padding).map(([value], side) => (this.held[side] ? 0 : value * this.unitOf(side)));
  }

  showSides() {
    const { crop, fit } = this.options;
    const hasMargins = crop || fit === "pad";
    const { canvas } = this.geometry;
    const lengths = sidesOf(this.options[this.field]);
    const insets = this.insets();
    for (const [side, handle] of this.sides.entries()) {
      const [value, unit] = lengths[side];
      const length = unit === "%" ? percent(value / 100, 1) : `${number(value)} px`;
      const isHeld = this.held[side];
      handle.hidden = !hasMargins;
      handle.classList.toggle("held", isHeld);
      label(handle, labels()[side], value, this.mostOf(side), isHeld ? heldText(length) : length);
      handle.setAttribute("aria-orientation", isAcross(side) ? "horizontal" : "vertical");
    }
    this.layer.style.setProperty("--top", `${(100 * insets[0]) / canvas.height}%`);
    this.layer.style.setProperty("--right", `${(100 * insets[1]) / canvas.width}%`);
    this.layer.style.setProperty("--bottom", `${(100 * insets[2]) / canvas.height}%`);
    this.layer.style.setProperty("--left", `${(100 * insets[3]) / canvas.width}%`);
    this.frame.hidden = !hasMargins;
  }

  /** Where the subject may lie: the start of its room, and what it leaves free, in canvas pixels across and down. */
  room() {
    const { canvas, subject } = this.geometry;
    const insets = this.insets();
    const size = subject ? [subject[2] - subject[0], subject[3] - subject[1]] : [canvas.width, canvas.height];
    return {
      start: [insets[3], insets[0]],
      free: [canvas.width - insets[3] - insets[1] - size[0], canvas.height - insets[0] - insets[2] - size[1]],
    };
  }

  /** The position of the subject in its room, in per cent across and down. */
  position() {
    const { position } = this.options;
    if (position !== null && position !== "original") return position.split(" ").map(Number);
    const { start, free } = this.room();
    return start.map((begin, axis) => {
      const before = this.geometry.subject[axis] - begin;
      // The middle may lie between two pixels.
      if (free[axis] < 1 || Math.abs(before - free[axis] / 2) <= 0.5) return 50;
      return clamp(halves((100 * before) / free[axis]), 0, 100);
    });
  }

  setPosition(x, y) {
    const [across, down] = [x, y].map((value) => clamp(halves(value), 0, 100));
    this.onChange({ position: `${across} ${down}` });
  }

  grabSubject() {
    const [x, y] = this.position();
    const { free } = this.room();
    const moved = (from, by, space) => (space >= 1 ? from + (100 * by) / space : from);
    return (right, down) => this.setPosition(moved(x, right, free[0]), moved(y, down, free[1]));
  }

  nudgeSubject(key, step) {
    const [x, y] = this.position();
    const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
    if (!(key in moves)) return false;
    this.setPosition(x + moves[key][0], y + moves[key][1]);
    return true;
  }

  showSubject(subject) {
    // A crop has the subject where its margins have it.
    this.box.hidden = !subject || this.isCut;
    if (this.box.hidden) return;
    const { width, height } = this.geometry.canvas;
    const [left, top, right, bottom] = subject;
    const places = { left: left / width, top: top / height, width: (right - left) / width, height: (bottom - top) / height };
    for (const [name, share] of Object.entries(places)) this.box.style.setProperty(`--box-${name}`, `${100 * share}%`);
    const [x, y] = this.position();
    const text = interpolate(gettext("%(across)s across, %(down)s down"), { across: percent(x / 100, 1), down: percent(y / 100, 1) }, true);
    label(this.box, gettext("Position of the subject"), x, 100, text);
  }
}

const labels = () => [gettext("Room at the top"), gettext("Room on the right"), gettext("Room at the bottom"), gettext("Room on the left")];

function heldText(length) {
  return interpolate(gettext("%(length)s, without effect: the photograph cuts the subject off at this edge"), { length }, true);
}

function label(handle, name, value, most, text) {
  const values = { "aria-label": name, "aria-valuemin": 0, "aria-valuemax": most, "aria-valuenow": value, "aria-valuetext": text };
  for (const [attribute, content] of Object.entries(values)) handle.setAttribute(attribute, content);
}

function keyed(key, value, step, most) {
  const steps = { ArrowUp: step, ArrowRight: step, ArrowDown: -step, ArrowLeft: -step, PageUp: COARSE, PageDown: -COARSE };
  if (key === "Home") return 0;
  if (key === "End") return most;
  return key in steps ? value + steps[key] : null;
}

function element(tag, className) {
  return Object.assign(document.createElement(tag), { className });
}
