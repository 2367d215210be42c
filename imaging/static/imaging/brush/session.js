// The brush over the whole window: one picture, from opening to done or cancel.

import { PictureError } from "../canvas.js";
import { confirmed } from "../many.js";
import { number, percent } from "../messages.js";
import { Keys } from "./keys.js";
import { connect, handOver } from "./link.js";
import { Pointers } from "./pointers.js";
import { View } from "./view.js";

// More pixels would slow the drawing down, and do not show.
const MOST_DENSE = 2;
// The largest brush, as a part of the longer side of the picture.
const LARGEST_PART = 1 / 3;
const ZOOM_STEP = 1.4;
const WHITE = "#ffffff";
// A screen reader is interrupted by each announcement.
const ANNOUNCE_AFTER_MS = 300;

export class Session {
  /** `dialog` holds the template brush.html; `backdrop` is the colour chosen for the picture, or null. */
  constructor(dialog, picture, backdrop) {
    Object.assign(this, { dialog, picture, ending: new AbortController(), isBusy: true, isOpen: false, isStroking: false });
    this.history = { canUndo: false, canRedo: false, isChanged: false };
    this.part = (selector) => dialog.querySelector(selector);
    this.form = this.part("form");
    this.fields = this.form.elements;
    this.stage = this.part(".brush-view");
    this.ring = this.part(".brush-ring");
    this.view = new View(picture.size);
    this.largest = Math.max(2, Math.round(Math.max(picture.size.width, picture.size.height) * LARGEST_PART));
    this.stage.style.setProperty("--backdrop", backdrop ?? WHITE);
    // A canvas can be handed to a worker once.
    this.canvas = this.part("canvas").cloneNode();
    this.part("canvas").replaceWith(this.canvas);
  }

  /** Show the dialog until it is done. Resolves to whether the matte has changed; throws PictureError if the brush cannot work. */
  async run() {
    const ended = new Promise((resolve, reject) => Object.assign(this, { resolve, reject }));
    this.link = connect(() => this.fail());
    this.dialog.showModal();
    this.setBusy(true);
    this.listenAll();
    try {
      await this.openPicture();
    } catch (error) {
      this.fail(error);
    }
    return ended;
  }

  async openPicture() {
    const { picture } = this;
    const original = await picture.getOriginal();
    const { canvas, transfer } = handOver(this.canvas);
    const isOpaque = picture.file.type === "image/jpeg";
    const matte = picture.touched ?? picture.matte;
    await this.link.call("open", { canvas, original, matte, isOpaque }, [original, ...transfer]);
    this.isOpen = true;
    this.measure();
    this.setBusy(false);
    this.showFields();
    this.canvas.focus();
    this.say(gettext("The brush is ready."));
  }

  listenAll() {
    this.pointers = new Pointers(this);
    this.keys = new Keys(this);
    this.listen(this.dialog, "click", ({ target }) => this.do(target.closest("[data-do]")?.dataset.do));
    this.listen(this.form, "input", () => this.showFields());
    this.listen(this.form, "submit", (event) => event.preventDefault());
    // The browser's own way to close: the back gesture of a phone.
    this.listen(this.dialog, "cancel", (event) => {
      event.preventDefault();
      this.do("cancel");
    });
    this.listen(window, "beforeunload", (event) => this.history.isChanged && event.preventDefault());
    this.listen(matchMedia("(prefers-color-scheme: dark)"), "change", () => this.showView());
    const observer = new ResizeObserver(() => this.measure());
    observer.observe(this.stage);
    this.ending.signal.addEventListener("abort", () => observer.disconnect());
  }

  /** Listen until the session ends. */
  listen(target, type, handler, options = {}) {
    target.addEventListener(type, handler, { ...options, signal: this.ending.signal });
  }

  /** Do what a button or a key asks for. */
  do(name) {
    if (name === "cancel") return this.cancel();
    if (this.isBusy) return undefined;
    return {
      undo: () => this.changeHistory("undo", gettext("Undone.")),
      redo: () => this.changeHistory("redo", gettext("Redone.")),
      reset: () => this.reset(),
      larger: () => this.changeView(() => this.view.zoom(ZOOM_STEP)),
      smaller: () => this.changeView(() => this.view.zoom(1 / ZOOM_STEP)),
      fit: () => this.changeView(() => this.view.fit()),
      done: () => this.finish(),
    }[name]?.();
  }

  // --- The tool ---------------------------------------------------------------------------------

  get size() {
    return Math.max(1, Math.round(this.largest ** (Number(this.fields.size.value) / 100)));
  }

  get brush() {
    const { hardness, tool, follows } = this.fields;
    return { size: this.size, hardness: Number(hardness.value) / 100, keeps: tool.value === "keep", follows: follows.checked };
  }

  /** Make the brush larger (1) or smaller (-1), by at least a pixel. */
  resize(direction) {
    const before = this.size;
    const { size } = this.fields;
    do size.value = Number(size.value) + direction;
    while (this.size === before && Number(size.value) > 0 && Number(size.value) < 100);
    this.showFields();
    this.say(interpolate(gettext("Size: %(size)s pixels"), { size: number(this.size) }, true));
  }

  harden(direction) {
    const { hardness } = this.fields;
    hardness.value = Number(hardness.value) + direction * Number(hardness.step);
    this.showFields();
    this.say(interpolate(gettext("Hardness: %(part)s"), { part: percent(hardness.value / 100) }, true));
  }

  choose(tool) {
    this.fields.tool.value = tool;
    this.showFields();
    this.say(tool === "keep" ? gettext("Keep") : gettext("Erase"));
  }

  showFields() {
    const size = interpolate(gettext("%(size)s px"), { size: number(this.size) }, true);
    this.part("[data-size]").textContent = size;
    this.fields.size.setAttribute("aria-valuetext", size);
    this.part("[data-hardness]").textContent = percent(this.fields.hardness.value / 100);
    this.stage.dataset.look = this.fields.look.value;
    this.stage.dataset.tool = this.fields.tool.value;
    this.showView();
  }

  // --- The view ---------------------------------------------------------------------------------

  /** Pixels of the canvas in one of the page. */
  get density() {
    return Math.min(MOST_DENSE, devicePixelRatio);
  }

  measure() {
    const { width, height } = this.stage.getBoundingClientRect();
    this.changeView(() => this.view.resize(Math.round(width * this.density), Math.round(height * this.density)));
  }

  changeView(change) {
    change();
    this.showView();
  }

  showView() {
    this.part("[data-zoom]").textContent = percent(this.view.scale / this.density);
    this.pointers.placeRing();
    this.showing ??= requestAnimationFrame(() => {
      this.showing = null;
      if (this.isBusy) return;
      const outside = getComputedStyle(this.dialog).backgroundColor;
      this.send("show", { view: this.view.facts, look: this.fields.look.value, outside });
    });
  }

  // --- Strokes ----------------------------------------------------------------------------------

  beginStroke(points, brush = this.brush) {
    this.isStroking = true;
    this.send("begin", { brush, points });
  }

  extendStroke(points) {
    this.send("extend", { points });
  }

  async endStroke() {
    this.isStroking = false;
    this.showHistory(await this.send("end"));
  }

  abortStroke() {
    if (!this.isStroking) return;
    this.isStroking = false;
    this.send("abort");
  }

  async changeHistory(method, text) {
    if (!this.history[method === "undo" ? "canUndo" : "canRedo"]) return;
    this.showHistory(await this.send(method));
    this.say(text);
  }

  async reset() {
    this.setBusy(true);
    const state = await this.send("reset", { matte: this.picture.matte });
    this.setBusy(false);
    this.showHistory(state);
    this.say(gettext("The picture is as the model cut it out."));
  }

  showHistory(state) {
    if (state === undefined) return;
    this.history = state;
    const buttons = { undo: state.canUndo, redo: state.canRedo };
    for (const [name, isPossible] of Object.entries(buttons)) {
      // A disabled button would lose the focus.
      this.part(`[data-do=${name}]`).setAttribute("aria-disabled", String(!isPossible));
    }
  }

  // --- The end ----------------------------------------------------------------------------------

  async finish() {
    this.setBusy(true);
    const matte = await this.send("finish");
    if (matte === undefined) return;
    if (matte !== "same") this.picture.setTouched(matte === "reset" ? null : matte);
    this.close(matte !== "same");
  }

  async cancel() {
    // The last stroke may have ended a moment ago.
    if (!this.isBusy) this.showHistory(await this.send("end"));
    if (this.history.isChanged && !(await this.mayDiscard())) return;
    this.close(false);
  }

  mayDiscard() {
    return confirmed({
      title: gettext("Discard your touch-ups?"),
      text: gettext("What you have painted since you opened the brush would be lost."),
      yes: gettext("Discard"),
      no: gettext("Go on painting"),
    });
  }

  /** End the session. `isTouched`: whether the picture has another matte now. */
  close(isTouched) {
    this.end();
    this.resolve(isTouched);
  }

  /** End the session because the brush cannot work. */
  fail(error) {
    if (this.ending.signal.aborted) return;
    this.end();
    const text = this.isOpen
      ? gettext("The brush has stopped, and what you painted last is lost. This browser may have too little memory for a picture of this size.")
      : gettext("The brush cannot open this picture. This browser may have too little memory for a picture of this size.");
    this.reject(error instanceof PictureError ? error : new PictureError(text));
  }

  end() {
    this.ending.abort();
    this.link.close();
    this.dialog.close();
  }

  /** Call a method of the retouching; resolves to undefined if the session has ended. */
  async send(method, argument) {
    try {
      return await this.link.call(method, argument);
    } catch (error) {
      return this.fail(error);
    }
  }

  setBusy(isBusy) {
    this.isBusy = isBusy;
    this.dialog.toggleAttribute("data-busy", isBusy);
    this.part(".brush-wait").hidden = !isBusy;
    this.part("[data-do=done]").disabled = isBusy;
  }

  say(text) {
    clearTimeout(this.saying);
    this.saying = setTimeout(() => { this.part("[role=status]").textContent = text; }, ANNOUNCE_AFTER_MS);
  }
}
