// Several results of the same cutout: a row of the API's field `outputs` each.

import { exportsOf } from "../outputs.js";
import { roomProblem } from "./canvas-panel.js";
import { Panel } from "./panel.js";

const NO_BACKGROUND = { bg_color: null, bg_image: null, bg_blur: null };
const SUGGESTIONS = {
  transparent: { name: "transparent", format: "png", mask: false, ...NO_BACKGROUND },
  white: { name: "white", format: "jpeg", mask: false, bg_color: "#ffffff" },
  mask: { name: "mask", format: "png", mask: true },
  other: { name: "result" },
};
const byId = (id) => document.getElementById(id);

export class ResultsPanel extends Panel {
  /** `onRows()` is called when a row was added or removed: no event of a control says so. `onLook()`: another one has the focus. */
  constructor(form, { onRows, onLook }) {
    super(form, "results", ["outputs"]);
    Object.assign(this, { onRows, onLook, list: byId("results"), most: Number(this.root.dataset.most), looked: -1 });
    this.list.addEventListener("focusin", ({ target }) => this.look(this.rows.indexOf(target.closest("li"))));
    this.list.addEventListener("focusout", ({ relatedTarget }) => this.list.contains(relatedTarget) || this.look(-1));
    byId("result-adders").addEventListener("click", ({ target }) => target.dataset.add && this.add(target.dataset.add));
  }

  get rows() {
    return [...this.list.children];
  }

  look(at) {
    if (at === this.looked) return;
    this.looked = at;
    this.onLook();
  }

  /** The options to show: of the result that is being changed, else of the first. */
  shown(options) {
    const results = exportsOf(options);
    return (results[this.looked + 1] ?? results[0]).options;
  }

  add(kind) {
    const suggestion = SUGGESTIONS[kind];
    this.append({ ...suggestion, name: freeName(suggestion.name, this.rows.map((row) => textOf(row, "name"))) });
    this.onRows();
    this.rows.at(-1).querySelector("input").focus();
  }

  append(values) {
    const row = byId("result-template").content.firstElementChild.cloneNode(true);
    const remove = row.querySelector("[data-remove]");
    row.querySelector("legend").textContent = values.name;
    remove.setAttribute("aria-label", interpolate(gettext("Remove the result %(name)s"), { name: values.name }, true));
    remove.title = remove.getAttribute("aria-label");
    remove.addEventListener("click", () => this.remove(row));
    writeRow(row, values);
    this.list.append(row);
  }

  remove(row) {
    const next = row.nextElementSibling ?? row.previousElementSibling;
    row.remove();
    this.onRows();
    (next ?? byId("result-adders")).querySelector("input, button").focus();
  }

  read() {
    // The first result is as set above.
    return { outputs: this.rows.length ? [{}, ...this.rows.map(readRow)] : null };
  }

  write({ outputs }) {
    const wanted = (outputs ?? []).slice(1);
    if (JSON.stringify(wanted) === JSON.stringify(this.rows.map(readRow))) return;
    this.list.replaceChildren();
    wanted.forEach((values) => this.append(values));
  }

  refresh() {
    const isFull = this.rows.length + 1 >= this.most;
    for (const button of byId("result-adders").children) button.disabled = isFull;
    byId("results-full").hidden = !isFull;
    for (const row of this.rows) row.querySelector("[data-own]").hidden = textOf(row, "behind") !== "own";
  }

  conflicts(options) {
    const found = exportsOf(options).slice(1).flatMap(({ options: one }, at) => rowConflicts(this.rows[at], one));
    return [...this.nameProblems(), ...found];
  }

  nameProblems() {
    const inputs = this.rows.map((row) => row.querySelector('[data-row="name"]'));
    const bad = inputs.filter(({ validity }) => !validity.valid).map((input) => [input, gettext("A name has small letters a to z, digits, - and _ only.")]);
    const isTaken = (input, at) => input.value !== "" && inputs.findIndex(({ value }) => value === input.value) < at;
    return [...bad, ...inputs.filter(isTaken).map((input) => [input, gettext("Another result has this name already.")])];
  }
}

function rowConflicts(row, options) {
  const field = row.querySelector('[data-row="w"]');
  if (options.fit === "pad" && !(options.w && options.h)) return [[field, gettext("A fixed size needs both a width and a height.")]];
  const text = roomProblem(options);
  return text ? [[field, text]] : [];
}

const textOf = (row, name) => row.querySelector(`[data-row="${name}"]`).value;

function freeName(wanted, taken) {
  for (let number = 1; ; number++) {
    const name = number === 1 ? wanted : `${wanted}-${number}`;
    if (!taken.includes(name)) return name;
  }
}

/** A row as the API takes it, with what differs from the settings alone. */
function readRow(row) {
  const [name, preset, format] = ["name", "preset", "format"].map((field) => textOf(row, field));
  const [w, h] = ["w", "h"].map((field) => Number(textOf(row, field)) || null);
  return { ...(name && { name }), ...(preset && { preset }), ...(format && { format }), ...(w && { w }), ...(h && { h }), ...readBehind(row) };
}

function readBehind(row) {
  const behind = textOf(row, "behind");
  if (!behind) return {};
  if (behind === "mask") return { mask: true };
  if (behind === "none") return { mask: false, ...NO_BACKGROUND };
  return { mask: false, bg_color: behind === "own" ? textOf(row, "colour") : behind };
}

function writeRow(row, values) {
  const set = (name, value) => { row.querySelector(`[data-row="${name}"]`).value = value ?? ""; };
  for (const name of ["name", "preset", "format", "w", "h"]) set(name, values[name]);
  set("behind", behindOf(values));
  if (textOf(row, "behind") !== behindOf(values)) {
    set("behind", "own");
    set("colour", values.bg_color);
  }
}

function behindOf({ mask, bg_color }) {
  if (mask) return "mask";
  if (bg_color === undefined) return "";
  return bg_color ?? "none";
}
