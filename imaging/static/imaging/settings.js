// The settings form: its values, and the size that they give an image.

import { MAX_SIDE, deliveredSize } from "./geometry.js";
import { DEFAULTS } from "./options.js";

const MAX_ANGLE = 360;

/** Reads and writes the form; `onChange(options)` is called for every valid change. */
export class Settings {
  constructor(form, onChange) {
    Object.assign(this, { form, onChange, fields: form.elements, defaults: { ...DEFAULTS } });
    this.error = form.querySelector("#settings-error");
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("input", (event) => this.changed(event.target));
    for (const button of form.querySelectorAll("[data-turn]")) {
      button.addEventListener("click", () => this.turn(Number(button.dataset.turn)));
    }
  }

  changed(field) {
    if (field.name === "colour") this.fields.background.value = "own";
    if (field.name === "tilt") this.fields.angle.value = field.value;
    if (field.name === "angle") this.fields.tilt.value = field.value;
    const problem = this.findProblem();
    this.complain(problem);
    if (!problem) this.onChange(this.read(), field.name);
    this.showNotes();
  }

  /** Turn by quarter turns, wrapping around after a full turn. */
  turn(degrees) {
    let angle = (this.read().angle + degrees) % MAX_ANGLE;
    if (angle > 180) angle -= MAX_ANGLE;
    if (angle <= -180) angle += MAX_ANGLE;
    this.fields.angle.value = angle;
    this.changed(this.fields.angle);
  }

  read() {
    const { background, colour, format, w, h, exact, angle, expand, mask, model } = this.fields;
    const side = (field) => Number(field.value) || null;
    return {
      ...DEFAULTS,
      bg_color: background.value === "own" ? colour.value : background.value || null,
      format: format.value,
      w: side(w),
      h: side(h),
      fit: exact.checked ? "exact" : "inside",
      angle: Number(angle.value) || 0,
      expand: expand.checked,
      mask: mask.checked,
      // There is a choice only where more than one model is served; "" is the default.
      model: model?.value ?? "",
    };
  }

  write(options, isSingle) {
    const { background, colour, format, w, h, exact, angle, tilt, expand, mask, model, single } = this.fields;
    background.value = options.bg_color ?? "";
    if (background.value !== (options.bg_color ?? "")) {
      background.value = "own";
      colour.value = options.bg_color;
    }
    format.value = options.format;
    w.value = options.w ?? "";
    h.value = options.h ?? "";
    angle.value = tilt.value = options.angle;
    exact.checked = options.fit === "exact";
    Object.entries({ expand, mask }).forEach(([name, field]) => { field.checked = options[name]; });
    if (model) model.value = options.model;
    single.checked = isSingle;
    this.complain(null);
    this.showNotes();
  }

  /** Show the sides that empty fields stand for as placeholders. */
  suggest(size) {
    this.fields.w.placeholder = size.width;
    this.fields.h.placeholder = size.height;
  }

  findProblem() {
    for (const field of [this.fields.w, this.fields.h]) {
      if (!field.validity.valid) return [field, gettext("A side is a whole number of pixels from 1 to 10,000.")];
    }
    if (!this.fields.angle.validity.valid) return [this.fields.angle, gettext("The angle is a number from −360 to 360.")];
    return null;
  }

  complain(problem) {
    const [wrong, text] = problem ?? [null, ""];
    for (const field of [this.fields.w, this.fields.h, this.fields.angle]) {
      field.setAttribute("aria-invalid", field === wrong);
    }
    this.error.textContent = text;
    this.error.hidden = !text;
  }

  showNotes() {
    const { format, bg_color, mask, fit } = this.read();
    const isFlat = ["jpeg", "bmp"].includes(format) && bg_color === null && !mask;
    this.form.querySelector("#flat-note").hidden = !isFlat;
    this.form.querySelector(".swatches").disabled = mask;
    this.fields.exact.disabled = !(this.fields.w.value && this.fields.h.value) && fit !== "exact";
  }

  /** Reset to the defaults. */
  reset() {
    this.write(this.defaults, this.fields.single.checked);
    this.onChange(this.read(), "");
  }

  /** Disable the format that the browser cannot write. */
  lackWebp() {
    this.defaults.format = "png";
    const webp = this.form.querySelector('[name=format][value="webp"]');
    webp.disabled = true;
    this.form.querySelector("#webp-note").hidden = false;
  }
}

/** Why an upright image cannot be delivered with these options; null if it can. */
export function sizeProblem(size, options) {
  const { width, height } = deliveredSize(size, options);
  const isOneGiven = (options.w === null) !== (options.h === null);
  if (!isOneGiven || Math.max(width, height) <= MAX_SIDE) return null;
  const text = gettext("This size would make the picture %(width)s × %(height)s pixels; at most 10,000 per side are possible.");
  return interpolate(text, { width, height }, true);
}
