// Size and canvas: presets, crop or a fixed canvas, margins, scale and position of the subject.

import { number } from "../messages.js";
import { PRESETS, presetOf } from "../presets.js";
import { check, isOneLength, numberOf, setNumber, setReason, sidesOf, textOfSides } from "./fields.js";
import { Panel } from "./panel.js";

const SIDES = ["top", "right", "bottom", "left"];
const byId = (id) => document.getElementById(id);
const NAMES = ["w", "h", "fit", "crop", "crop_margin", "padding", "scale", "position", "snap"];

export class CanvasPanel extends Panel {
  constructor(form) {
    super(form, "canvas", NAMES);
    this.margins = SIDES.map((side) => this.fields[`margin_${side}`]);
    this.limits = form.querySelector(".margins").dataset;
    this.position = this.snap = null;
  }

  /** The size that a fixed canvas begins with: that of the picture. */
  suggest(size) {
    this.fields.w.placeholder = size.width;
    this.fields.h.placeholder = size.height;
  }

  follow(field) {
    const { place, across, down, snap, w, h } = this.fields;
    const on = {
      canvas: () => { if (field.value === "pad") for (const side of [w, h]) side.value ||= side.placeholder || 1000; },
      margin_unit: () => this.convert(),
      // Each side begins with what was for all of them.
      sides: () => { for (const side of this.margins) side.value = this.margins[0].value; },
      place: () => this.showPosition(place.value),
      snap: () => { this.snap = snap.checked; },
    };
    on[field.name]?.();
    if (field.name === "place") this.position = place.value;
    if ([across, down].some((one) => one === field || field.dataset.for === one.name)) {
      this.position = `${numberOf(across) ?? 50} ${numberOf(down) ?? 50}`;
      this.showPosition(this.position);
    }
  }

  /** In the other unit, the values stay within its limit. */
  convert() {
    const most = this.mostOf(this.fields.canvas.value);
    for (const field of this.margins) if (numberOf(field) > most) field.value = most;
  }

  mostOf(mode) {
    const { marginPercent, marginPx, paddingPercent, paddingPx } = this.limits;
    const isPercent = this.fields.margin_unit.value === "%";
    return Number(mode === "pad" ? (isPercent ? paddingPercent : paddingPx) : isPercent ? marginPercent : marginPx);
  }

  read() {
    const { canvas, w, h, exact, whole, scale, sides, margin_unit } = this.fields;
    const mode = canvas.value;
    const margin = textOfSides(this.margins.map(numberOf), margin_unit.value, !sides.checked);
    const isCropped = mode === "crop" || (mode === "pad" && !whole.checked);
    return {
      w: numberOf(w) || null,
      h: numberOf(h) || null,
      fit: mode === "pad" ? "pad" : exact.checked ? "exact" : "inside",
      // A fixed size crops by default.
      crop: isCropped === (mode === "pad") ? null : isCropped,
      crop_margin: mode === "crop" ? margin : null,
      padding: mode === "pad" ? margin : null,
      scale: numberOf(scale),
      position: mode === "crop" ? null : this.position,
      snap: this.snap === isCropped ? null : this.snap,
    };
  }

  write(options) {
    const { canvas, w, h, exact, whole, scale, preset } = this.fields;
    check(canvas, options.fit === "pad" ? "pad" : options.crop ? "crop" : "whole");
    w.value = options.w ?? "";
    h.value = options.h ?? "";
    exact.checked = options.fit === "exact";
    whole.checked = options.fit === "pad" && options.crop === false;
    preset.value = presetOf(options);
    setNumber(scale, options.scale);
    this.writeMargins(options.fit === "pad" ? options.padding : options.crop_margin);
    Object.assign(this, { position: options.position, snap: options.snap });
  }

  writeMargins(text) {
    const lengths = sidesOf(text);
    const isOne = isOneLength(text);
    this.fields.sides.checked = !isOne;
    this.fields.margin_unit.value = lengths[0][1];
    for (const [at, field] of this.margins.entries()) field.value = text === null || (isOne && at > 0) ? "" : lengths[at][0];
  }

  /** Show a position on the picker and the sliders; null shows what the server then does. */
  showPosition(position) {
    const { place, across, down } = this.fields;
    const isCentred = position === null && (this.fields.canvas.value === "pad" || numberOf(this.fields.scale) !== null);
    const shown = isCentred ? "50 50" : position ?? "original";
    check(place, shown);
    if (shown === "original") return;
    const [x, y] = shown.split(" ");
    if (document.activeElement !== across) setNumber(across, x);
    if (document.activeElement !== down) setNumber(down, y);
  }

  refresh(options) {
    const mode = this.fields.canvas.value;
    this.refreshSize(mode);
    this.refreshMargins(mode);
    this.showPosition(options.position);
    this.fields.preset.value = presetOf(options);
    this.showRule(this.fields.preset.value);
    const isDecided = mode === "crop" && (options.w || options.h);
    setReason(byId("scaling"), byId("scaling-reason"), isDecided ? gettext("The width and the height decide how large the subject is.") : null);
    const isCut = mode === "crop" ? gettext("The canvas is cut to the subject. To place it, choose the whole picture or a fixed size.") : null;
    setReason(byId("positions"), byId("positions-reason"), isCut);
    // Only on a fixed canvas is it clear what the server does.
    this.fields.scale.placeholder = mode === "pad" ? "100" : "–";
    this.fields.snap.checked = options.snap ?? options.crop ?? mode === "pad";
  }

  refreshSize(mode) {
    const { w, h, exact } = this.fields;
    const isPadded = mode === "pad";
    const reason = isPadded ? gettext("A fixed size never distorts the subject.") : gettext("This needs both a width and a height.");
    const isPossible = !isPadded && ((w.value && h.value) || exact.checked);
    setReason(exact, byId("exact-reason"), isPossible ? null : reason);
    byId("whole-field").hidden = !isPadded;
  }

  refreshMargins(mode) {
    const isOne = !this.fields.sides.checked;
    const reason = mode === "whole" ? gettext("The whole picture has no margin. Cut it to the subject, or choose a fixed size.") : null;
    setReason(byId("margins"), byId("margins-reason"), reason);
    byId("margins-title").textContent = mode === "pad" ? gettext("Room inside the canvas") : gettext("Margin");
    byId("margin-first").textContent = isOne ? gettext("All sides") : gettext("Top");
    for (const [at, field] of this.margins.entries()) {
      field.max = this.mostOf(mode);
      if (at > 0) field.parentElement.hidden = isOne;
    }
  }

  showRule(name) {
    const rule = byId("preset-rule");
    rule.hidden = !name;
    if (!name) return;
    const [year, month] = PRESETS[name].read.split("-");
    const date = new Intl.DateTimeFormat(document.documentElement.lang, { year: "numeric", month: "long" }).format(new Date(Number(year), month - 1));
    const text = gettext("%(rule)s As read in %(date)s.");
    rule.textContent = interpolate(text, { rule: PRESETS[name].rule, date }, true);
  }

  /** Fields that do not go together, in the server's terms. */
  conflicts(options) {
    const { w, h } = this.fields;
    const missing = [w, h].find((field) => field.value === "");
    if (options.fit === "pad" && missing) return [[missing, gettext("A fixed size needs both a width and a height.")]];
    const text = roomProblem(options);
    return text ? [[this.margins[0], text]] : [];
  }
}

/** Whether margins leave room for the subject: a sentence if not. */
export function roomProblem({ fit, crop, padding, crop_margin, w, h }) {
  if (fit !== "pad" && !crop) return "";
  const sides = sidesOf(fit === "pad" ? padding : crop_margin);
  for (const [whole, ends, text] of [
    [w, [sides[3], sides[1]], gettext("These margins leave no room for the subject in a width of %(side)s.")],
    [h, [sides[0], sides[2]], gettext("These margins leave no room for the subject in a height of %(side)s.")],
  ]) {
    // Per cent of a crop are of the subject, not of the canvas.
    const lengths = ends.map(([value, unit]) => (unit === "px" ? value : fit === "pad" ? (value * whole) / 100 : 0));
    if (whole !== null && whole - lengths[0] - lengths[1] < 1) return interpolate(text, { side: number(whole) }, true);
  }
  return "";
}
