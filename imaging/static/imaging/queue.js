// Runs a limited number of jobs at once, in order; when the server asks to wait, all of them pause.

import { ApiFailure } from "./api.js";

const AT_ONCE = 2;
// Error codes for which the same request is worth retrying, and the seconds to wait if the server gives none.
const WORTH_WAITING = ["rate_limited", "server_busy", "service_unavailable", "idempotency_in_progress"];
const DEFAULT_WAIT_SECONDS = 5;

/**
 * `work(job, signal)` does a job; `onChange(job)` is called for each new `job.state`, and `onPause(seconds)` for each pause.
 *
 * States: waiting, working, done, failed (with `job.error`), cancelled.
 */
export class Queue {
  constructor(work, { onChange, onPause }) {
    Object.assign(this, { work, onChange, onPause });
    this.waiting = [];
    this.running = new Map();
    this.resumesAt = 0;
  }

  add(job) {
    this.waiting.push(job);
    this.mark(job, "waiting");
    this.pump();
  }

  /** Cancel a job, whether waiting or running. */
  cancel(job) {
    this.waiting = this.waiting.filter((other) => other !== job);
    this.running.get(job)?.abort();
    this.running.delete(job);
    this.mark(job, "cancelled");
    this.pump();
  }

  mark(job, state, error = null) {
    Object.assign(job, { state, error });
    this.onChange(job);
  }

  pump() {
    while (this.running.size < AT_ONCE && this.waiting.length && Date.now() >= this.resumesAt) {
      this.start(this.waiting.shift());
    }
  }

  async start(job) {
    const controller = new AbortController();
    this.running.set(job, controller);
    this.mark(job, "working");
    try {
      await this.work(job, controller.signal);
      if (!controller.signal.aborted) this.finish(job, "done");
    } catch (error) {
      if (!controller.signal.aborted) this.fail(job, error);
    }
  }

  finish(job, state, error) {
    this.running.delete(job);
    this.mark(job, state, error);
    this.pump();
  }

  fail(job, error) {
    if (!(error instanceof ApiFailure && WORTH_WAITING.includes(error.code))) return this.finish(job, "failed", error);
    this.waiting.unshift(job);
    this.pause(error.retryAfter || DEFAULT_WAIT_SECONDS);
    this.finish(job, "waiting");
  }

  pause(seconds) {
    this.resumesAt = Math.max(this.resumesAt, Date.now() + seconds * 1000);
    this.onPause(seconds);
    // A few milliseconds more, because timers may fire early.
    setTimeout(() => this.pump(), seconds * 1000 + 20);
  }
}
