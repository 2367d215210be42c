// Small images of the results in the list, drawn one after another, for the pictures that are in sight.

import { isSame } from "./same.js";

// A slider that is dragged changes the options many times a second.
const CALM_MS = 200;

export class Thumbs {
  /** `optionsOf(picture)` returns its options. */
  constructor(optionsOf) {
    Object.assign(this, { optionsOf, rows: new Map(), visible: new Set(), drawn: new WeakMap(), isDrawing: false, timer: null });
    this.observer = new IntersectionObserver((entries) => this.seen(entries), { rootMargin: "200px" });
  }

  add(picture, row) {
    this.rows.set(row, picture);
    this.observer.observe(row);
  }

  remove(picture, row) {
    this.rows.delete(row);
    this.visible.delete(picture);
    this.observer.unobserve(row);
  }

  seen(entries) {
    for (const { target, isIntersecting } of entries) {
      const picture = this.rows.get(target);
      if (isIntersecting && picture) this.visible.add(picture);
      else this.visible.delete(picture);
    }
    this.drawAll();
  }

  /** Draw again what has changed. */
  refresh() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.drawAll(), CALM_MS);
  }

  async drawAll() {
    if (this.isDrawing) return;
    this.isDrawing = true;
    for (let picture = this.findStale(); picture; picture = this.findStale()) {
      this.drawn.set(picture, this.lookOf(picture));
      // What cannot be drawn keeps its thumbnail; the large view says why.
      await this.draw(picture).catch(() => {});
    }
    this.isDrawing = false;
  }

  findStale() {
    return [...this.visible].find((picture) => picture.size && !isSame(this.drawn.get(picture), this.lookOf(picture)));
  }

  lookOf(picture) {
    if (picture.state !== "done") return { matte: null };
    return { matte: picture.matte, touched: picture.touched, options: this.optionsOf(picture) };
  }

  async draw(picture) {
    if (picture.state === "done") return picture.sketch(this.optionsOf(picture));
    const original = await picture.getOriginal();
    picture.drawThumb(original);
    original.close();
  }
}
