import { RembgError } from "./error.js";

// The longest delay of a timer, about 24 days.
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** What ends a call early: the caller's signal, the time limit, or `abort`. */
export interface Limits {
  /** Aborted with the error that the call rejects with. */
  signal: AbortSignal;
  abort(reason: unknown): void;
  /** Milliseconds left. */
  remaining(): number;
  /** Call this when the call is over. */
  release(): void;
}

/** `timeout` is in milliseconds; 0 means no limit. */
export function startLimits(timeout: number, signal?: AbortSignal): Limits {
  const controller = new AbortController();
  const abort = (reason: unknown) => controller.abort(reason);
  const cancel = () => abort(new RembgError("The call was cancelled", { code: "aborted", cause: signal?.reason }));
  const expire = () => abort(new RembgError(`The call took longer than ${timeout} ms`, { code: "timeout" }));
  const limited = timeout > 0 && timeout <= LONGEST_TIMER_MS;
  const timer = limited ? setTimeout(expire, timeout) : undefined;
  const deadline = limited ? Date.now() + timeout : Infinity;
  signal?.addEventListener("abort", cancel);
  if (signal?.aborted) cancel();
  return {
    signal: controller.signal,
    abort,
    remaining: () => deadline - Date.now(),
    release: () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", cancel);
    },
  };
}

/** Waits; rejects with the signal's reason as soon as it is aborted. */
export function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", stop);
      resolve();
    }, milliseconds);
    signal.addEventListener("abort", stop, { once: true });
  });
}
