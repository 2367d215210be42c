// Calls the retouching: in a worker, or in the page where the browser cannot draw in workers.

/** What `connect` returns: `call(method, argument, transfer)` is a promise of the method's result; `close()` ends it. */
class WorkerLink {
  constructor(onFailure) {
    Object.assign(this, { calls: new Map(), next: 0 });
    this.worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
    this.worker.addEventListener("message", ({ data }) => this.settle(data));
    // A worker that cannot be loaded, or has run out of memory, answers no call.
    this.worker.addEventListener("error", (event) => {
      event.preventDefault();
      this.fail(event.message);
      onFailure();
    });
  }

  call(method, argument, transfer = []) {
    const id = this.next++;
    this.worker.postMessage({ id, method, argument }, transfer);
    return new Promise((resolve, reject) => this.calls.set(id, { resolve, reject }));
  }

  settle({ id, result, error }) {
    const { resolve, reject } = this.calls.get(id);
    this.calls.delete(id);
    if (error === undefined) resolve(result);
    else reject(new Error(error));
  }

  fail(message) {
    for (const { reject } of this.calls.values()) reject(new Error(message));
    this.calls.clear();
  }

  close() {
    this.worker.terminate();
    this.fail("closed");
  }
}

class PageLink {
  constructor() {
    this.retouching = import("./retouching.js").then(({ Retouching }) => new Retouching());
  }

  async call(method, argument) {
    return (await this.retouching)[method](argument);
  }

  close() {
    this.call("close");
  }
}

/** Start a retouching. `onFailure` is called if the worker breaks down. */
export function connect(onFailure) {
  return canDrawInWorker() ? new WorkerLink(onFailure) : new PageLink();
}

/** The canvas to send with the first call, and what to transfer along with it. */
export function handOver(canvas) {
  if (!canDrawInWorker()) return { canvas, transfer: [] };
  const drawn = canvas.transferControlToOffscreen();
  return { canvas: drawn, transfer: [drawn] };
}

const canDrawInWorker = () => typeof OffscreenCanvas !== "undefined" && "transferControlToOffscreen" in HTMLCanvasElement.prototype;
