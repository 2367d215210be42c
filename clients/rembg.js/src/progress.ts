import type { ProgressListener, TransferProgress } from "./types.js";

/** Hears how many bytes of one try have been transferred, of how many. */
export type Listener = (loaded: number, total?: number) => void;

// As often as browsers tell (XMLHttpRequest, "fire a progress event" steps).
const INTERVAL_MS = 50;

/**
 * Turns byte counts into events for `report`; each call of the returned function begins a new try.
 *
 * Events never go back: a later try is silent until it has come further than those before.
 */
export function meter(direction: "upload" | "download", report?: ProgressListener): () => Listener | undefined {
  let reached = 0;
  let reported = -Infinity;
  return () => {
    const started = performance.now();
    return report && ((loaded, total) => {
      const now = performance.now();
      if (loaded <= reached || (loaded !== total && now - reported < INTERVAL_MS)) return;
      const bytes = loaded - reached;
      [reached, reported] = [loaded, now];
      report({ ...describe(loaded, total, (now - started) / 1000), bytes, [direction]: true });
    });
  };
}

function describe(loaded: number, total: number | undefined, seconds: number): Omit<TransferProgress, "bytes"> {
  const rate = seconds > 0 ? loaded / seconds : undefined;
  return {
    loaded,
    total,
    progress: total ? loaded / total : undefined,
    rate,
    estimated: rate && total ? (total - loaded) / rate : undefined,
    lengthComputable: total !== undefined,
  };
}
