// The settings: the sections of the form, the options that they make together, and what is wrong with them.

import { DEFAULTS } from "./options.js";
import { BackgroundPanel } from "./panels/background.js";
import { CanvasPanel } from "./panels/canvas-panel.js";
import { bindSliders, setNumber } from "./panels/fields.js";
import { complain, rangeProblems } from "./panels/problems.js";
import { ResultsPanel } from "./panels/results.js";
import { AnglePanel, EdgesPanel, FormatPanel, ModelPanel, ShadowPanel } from "./panels/simple.js";
import { WORDS } from "./panels/words.js";
import { optionsOfPreset } from "./presets.js";

const MAX_ANGLE = 360;

/**
 * Reads and writes the form; `onChange(options, field)` is called for every valid change, `onCommit()` when one is complete,
 * `onLook()` when `shown()` gives another result.
 */
export class Settings {
  constructor(form, { onChange, onCommit, onLook }) {
    Object.assign(this, { form, onChange, onCommit, fields: form.elements, defaults: { ...DEFAULTS } });
    const settle = () => this.settle("");
    this.canvas = new CanvasPanel(form);
    this.results = new ResultsPanel(form, { onRows: settle, onLook });
    this.panels = {
      background: new BackgroundPanel(form, settle),
      canvas: this.canvas,
      shadow: new ShadowPanel(form),
      format: new FormatPanel(form),
      results: this.results,
      angle: new AnglePanel(form),
      edges: new EdgesPanel(form),
      model: new ModelPanel(form),
    };
    bindSliders(form);
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("input", (event) => this.changed(event.target));
    form.addEventListener("change", () => onCommit());
    this.bindButtons();
  }

  bindButtons() {
    for (const button of this.form.querySelectorAll("[data-turn]")) {
      button.addEventListener("click", () => this.turn(Number(button.dataset.turn)));
    }
    for (const panel of Object.values(this.panels)) {
      panel.root.querySelector("[data-reset]").addEventListener("click", () => this.resetPanel(panel));
    }
  }

  changed(field) {
    Object.values(this.panels).forEach((panel) => panel.follow(field));
    if (field.name === "preset") this.takePreset(field.value);
    else this.settle(field.name || field.dataset.for || "results");
  }

  /** Fill the fields in as a marketplace wants them; "" empties those of the canvas. */
  takePreset(name) {
    const options = name ? { crop: null, bg_image: null, bg_blur: null, ...optionsOfPreset(name) } : this.defaultsOf(this.canvas);
    this.set(options, "preset");
  }

  /** Take the form as it is: show what it means, and pass the options on if they are valid. */
  settle(changedField) {
    const options = this.read();
    this.refresh(options);
    const problems = this.findProblems(options);
    complain(this.form, problems);
    if (!problems.length) this.onChange(options, changedField);
  }

  /** Change some options from outside of the form. */
  set(options, changedField) {
    this.write({ ...this.read(), ...options }, this.fields.single.checked);
    this.settle(changedField);
  }

  /** Turn by quarter turns, wrapping around after a full turn. */
  turn(degrees) {
    let angle = (this.read().angle + degrees) % MAX_ANGLE;
    if (angle > 180) angle -= MAX_ANGLE;
    if (angle <= -180) angle += MAX_ANGLE;
    setNumber(this.fields.angle, angle);
    this.settle("turn");
    this.onCommit();
  }

  read() {
    return Object.assign({ ...DEFAULTS }, ...Object.values(this.panels).map((panel) => panel.read()));
  }

  write(options, isSingle) {
    Object.values(this.panels).forEach((panel) => panel.write(options));
    this.fields.single.checked = isSingle;
    this.refresh(options);
    complain(this.form, this.findProblems(options));
  }

  refresh(options) {
    for (const [name, panel] of Object.entries(this.panels)) {
      panel.refresh(options);
      panel.summarise(options, this.defaults, WORDS[name](options));
    }
  }

  /** Which of the results to show, as options of one. */
  shown(options) {
    return this.results.shown(options);
  }

  /** Show the sides that empty fields stand for as placeholders. */
  suggest(size) {
    this.canvas.suggest(size);
  }

  /** All problems: of single fields, else of those that do not go together. */
  findProblems(options) {
    const ranges = rangeProblems(this.form);
    return ranges.length ? ranges : [...this.canvas.conflicts(options), ...this.results.conflicts(options)];
  }

  defaultsOf(panel) {
    return Object.fromEntries(panel.names.map((name) => [name, this.defaults[name]]));
  }

  resetPanel(panel) {
    this.set(this.defaultsOf(panel), "");
    this.onCommit();
    // The button is gone.
    panel.root.querySelector("summary").focus();
  }

  /** Reset to the defaults. */
  reset() {
    this.set(this.defaults, "");
    this.onCommit();
  }

  /** Disable the format that the browser cannot write. */
  lackWebp() {
    this.defaults.format = "png";
    const webp = this.form.querySelector('[name=format][value="webp"]');
    webp.disabled = true;
    this.form.querySelector("#webp-note").hidden = false;
  }
}
