// Hands work on pixels to a worker; does it in the page where a browser has no module workers or no canvas in them.

import { Refusal } from "./refusal.js";

export class Foreman {
  /** A worker that has been idle for `idleSeconds` ends, and its memory with it. */
  constructor(idleSeconds = Number.POSITIVE_INFINITY) {
    Object.assign(this, { idleSeconds, worker: null, waiting: new Map(), number: 0, timer: 0, isInPage: !canWorkApart() });
  }

  /** The result of a job of Workshop. Throws Refusal. */
  async run(job) {
    if (this.isInPage) return this.runHere(job);
    clearTimeout(this.timer);
    this.worker ??= this.start();
    const id = ++this.number;
    return new Promise((done, fail) => {
      this.waiting.set(id, { job, done, fail });
      this.worker.postMessage({ id, ...job });
    });
  }

  start() {
    const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
    worker.addEventListener("message", ({ data }) => this.receive(data));
    worker.addEventListener("error", (event) => this.lose(event));
    return worker;
  }

  receive({ id, result, refusal }) {
    const { done, fail } = this.waiting.get(id);
    this.waiting.delete(id);
    if (refusal) fail(new Refusal(refusal.code, refusal.facts));
    else done(result);
    if (this.waiting.size === 0 && Number.isFinite(this.idleSeconds)) this.timer = setTimeout(() => this.end(), this.idleSeconds * 1000);
  }

  end() {
    this.worker?.terminate();
    this.worker = null;
  }

  /** The worker could not be loaded, or has died: the page does the work. */
  lose(event) {
    event.preventDefault();
    this.end();
    this.isInPage = true;
    const jobs = [...this.waiting.values()];
    this.waiting.clear();
    for (const { job, done, fail } of jobs) this.runHere(job).then(done, fail);
  }

  async runHere(job) {
    const { Workshop } = await import("./workshop.js");
    this.workshop ??= new Workshop();
    return this.workshop.run(job);
  }
}

function canWorkApart() {
  return typeof Worker !== "undefined" && typeof OffscreenCanvas !== "undefined" && "transferToImageBitmap" in OffscreenCanvas.prototype;
}
