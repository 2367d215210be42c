import { RembgError } from "./error.js";
import { type Limits, sleep } from "./limits.js";

// `http_429` is a proxy's. The server's other 429s mean that an allowance is used up: a retry would change nothing.
const FOR_THE_MOMENT = ["network_error", "rate_limited", "http_429"];
const STATUSES_FOR_THE_MOMENT = [502, 503, 504];
// An earlier try with the same key, whose connection broke, is still in progress.
const STILL_AT_WORK = "idempotency_in_progress";
const FIRST_BACKOFF_MS = 500;
const LONGEST_BACKOFF_MS = 8000;

/**
 * Repeats `attempt` up to `retries` times after temporary failures, after the server's `Retry-After` or growing pauses.
 *
 * Waiting for a try in progress does not count as a retry: only the time limit ends it. A wait that does not fit into the
 * time limit does not begin.
 */
export async function withRetries<Result>(attempt: () => Promise<Result>, retries: number, limits: Limits): Promise<Result> {
  for (let failures = 0; ; ) {
    try {
      limits.signal.throwIfAborted();
      return await attempt();
    } catch (error) {
      if (limits.signal.aborted) throw limits.signal.reason;
      if (!(error instanceof RembgError) || !mayPass(error)) throw error;
      if (error.code !== STILL_AT_WORK || !retries) failures += 1;
      const wait = waitAfter(error, failures);
      if (failures > retries || wait >= limits.remaining()) throw error;
      await sleep(wait, limits.signal);
    }
  }
}

function mayPass(error: RembgError): boolean {
  return [...FOR_THE_MOMENT, STILL_AT_WORK].includes(error.code) || STATUSES_FOR_THE_MOMENT.includes(error.status);
}

/** Milliseconds. The random part spreads out callers that failed together. */
function waitAfter(error: RembgError, failures: number): number {
  if (error.retryAfter !== null) return error.retryAfter * 1000;
  const longest = Math.min(LONGEST_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** (failures - 1));
  return longest * (0.5 + Math.random() / 2);
}
