// Draws previews in the order in which they matter: only the latest, coarse while a slider moves, then fine.

import { makeCanvas } from "./canvas.js";

// A request that follows another one within this time is of a slider that moves.
const QUICK_MS = 250;
// What takes less is drawn finely at once.
const SLOW_MS = 50;

export class Previews {
  /** `render(plan, isDraft)` returns what Workshop.preview() does. */
  constructor(render) {
    Object.assign(this, { render, running: null, next: null, lastAsked: Number.NEGATIVE_INFINITY, took: 0, timer: 0, shown: null });
  }

  /** The preview of a plan, or of a later one. */
  draw(plan) {
    clearTimeout(this.timer);
    const now = performance.now();
    const isDraft = now - this.lastAsked < QUICK_MS && this.took > SLOW_MS;
    this.lastAsked = now;
    if (this.running === null) return this.start(plan, isDraft);
    this.next ??= { promise: this.running.catch(() => {}).then(() => this.startNext()) };
    Object.assign(this.next, { plan, isDraft });
    return this.next.promise;
  }

  /** Leave a coarse preview coarse: no one looks at it any more. */
  cancel() {
    clearTimeout(this.timer);
  }

  startNext() {
    const { plan, isDraft } = this.next;
    this.next = null;
    return this.start(plan, isDraft);
  }

  start(plan, isDraft) {
    this.running = this.make(plan, isDraft).finally(() => { this.running = null; });
    return this.running;
  }

  async make(plan, isDraft) {
    const started = performance.now();
    const drawn = await this.render(plan, isDraft);
    if (!isDraft) this.took = performance.now() - started;
    const { before, after, ...facts } = drawn;
    const shown = { before: makeCanvas(before).canvas, after: makeCanvas(after).canvas, ...facts };
    paint(shown, { before, after });
    if (isDraft) this.timer = setTimeout(() => this.refine(plan, shown), QUICK_MS);
    return shown;
  }

  /** Draw a coarse preview again, finely, on the same canvases, unless something newer is asked for. */
  async refine(plan, shown) {
    const drawn = await this.render(plan, false);
    if (this.running === null && this.next === null) paint(shown, drawn);
  }
}

function paint(shown, drawn) {
  for (const name of ["before", "after"]) {
    const [canvas, image] = [shown[name], drawn[name]];
    Object.assign(canvas, { width: image.width, height: image.height });
    canvas.getContext("2d").drawImage(image, 0, 0);
    image.close?.();
  }
}
