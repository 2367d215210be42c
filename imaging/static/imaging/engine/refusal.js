// Why the browser cannot make an image: a code and its facts, which travel from the worker. The page makes a sentence of them.

export class Refusal extends Error {
  /** `code`: unreadable, too_many_pixels, too_little_memory, too_long, cannot_write, invalid_value, no_room or missing_size. */
  constructor(code, facts = {}) {
    super(code);
    Object.assign(this, { code, facts });
  }
}
