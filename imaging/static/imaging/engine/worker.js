// The worker: a Workshop behind messages. {id, kind, …} is answered by {id, result} or {id, refusal: {code, facts}}.

import { Refusal } from "./refusal.js";
import { Workshop } from "./workshop.js";

const workshop = new Workshop();

self.addEventListener("message", async ({ data: { id, ...job } }) => {
  try {
    const result = await workshop.run(job);
    const bitmaps = Object.values(result ?? {}).filter((value) => value instanceof ImageBitmap);
    self.postMessage({ id, result }, bitmaps);
  } catch (error) {
    self.postMessage({ id, refusal: refusalOf(error) });
  }
});

function refusalOf(error) {
  if (error instanceof Refusal) return { code: error.code, facts: error.facts };
  console.error(error);
  return { code: "failed", facts: {} };
}
