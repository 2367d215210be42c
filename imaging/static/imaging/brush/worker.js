// The retouching in a worker: the page stays free for the pointer.

import { Retouching } from "./retouching.js";

const retouching = new Retouching();

self.addEventListener("message", async ({ data: { id, method, argument } }) => {
  try {
    self.postMessage({ id, result: await retouching[method](argument) });
  } catch (error) {
    self.postMessage({ id, error: String(error) });
  }
});
