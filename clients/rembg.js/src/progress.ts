import type { ProgressListener, TransferProgress } from "./types.js";

/** Receives the transferred and the total bytes of one try. */
export type Listener = (loaded: number, total?: number) => void;

// As often as browsers report (XMLHttpRequest, "fire a progress event" steps).
const INTERVAL_MS = 50;

/**
 * Turns byte counts into events for `report`; each call of the returned function begins a new try.
 *
 * Progress never goes back: a retry reports nothing until it is further than the tries before.
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
