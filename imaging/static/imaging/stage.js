// The large view of the selected picture: while it is processed, if it failed, and the result next to the original.

import { NAMES } from "./encoders.js";
import { explanation } from "./messages.js";
import { Handles } from "./handles.js";
import { stateText } from "./queue-view.js";
import "./compare.js";

export class Stage {
  /** `onArrange(options)` gets what the handles change, `onArranged()` is called when a movement is complete. */
  constructor(root, facts, { onArrange, onArranged }) {
    Object.assign(this, { root, facts, isArranging: false });
    this.compare = root.querySelector("image-compare");
    this.handles = new Handles(root.querySelector("#handles"), { onChange: onArrange, onEnd: onArranged });
    this.pending = root.querySelector("#pending");
    this.drawing = this.drawn = 0;
  }

  /** Draw a picture with its options. While a slider moves, what was asked for last may take longer than the next movement. */
  async show(picture, options) {
    const drawing = ++this.drawing;
    Object.assign(this, { picture, options });
    if (picture.state !== "done") return this.showPending(picture, drawing);
    this.handles.anticipate(options);
    const { before, after, canvas, subject } = await picture.preview(options);
    if (picture !== this.picture || picture.state !== "done" || drawing < this.drawn) return;
    this.drawn = drawing;
    label(before, gettext("The original picture"));
    label(after, gettext("The result"));
    this.compare.show(before, after);
    this.compare.hidden = false;
    this.pending.hidden = true;
    this.handles.show({ canvas, subject }, options, this.options);
    this.showFacts(picture, canvas, options);
  }

  /** Show handles for margins and the subject in place of the comparison, or the comparison again. */
  arrange(isArranging) {
    this.isArranging = isArranging;
    this.handles.layer.hidden = !isArranging;
    this.compare.classList.toggle("arranging", isArranging);
    if (isArranging) this.compare.value = 0;
  }

  async showPending(picture, drawing) {
    this.compare.hidden = true;
    this.pending.hidden = false;
    this.pending.dataset.state = picture.state;
    this.facts.textContent = picture.name;
    this.pending.querySelector(".pending-text").replaceChildren(this.pendingText(picture));
    const place = this.pending.querySelector(".pending-picture");
    if (place.dataset.key === picture.key) return;
    place.replaceChildren();
    place.dataset.key = picture.key;
    if (picture.size === null) return void delete place.dataset.key;
    const { before } = await picture.getLayers();
    if (drawing === this.drawing || place.dataset.key === picture.key) place.replaceChildren(copyOf(before));
  }

  pendingText(picture) {
    if (picture.error) return explanation(picture.error);
    const line = document.createElement("p");
    line.textContent = stateText(picture);
    return line;
  }

  showFacts(picture, { width, height }, options) {
    const facts = { name: picture.name, width, height, format: NAMES[options.format] };
    this.facts.textContent = interpolate(gettext("%(name)s: %(width)s × %(height)s pixels, %(format)s"), facts, true);
  }
}

function label(canvas, text) {
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", text);
}

/** A copy that remains when the layers are released. */
function copyOf(canvas) {
  const copy = canvas.cloneNode();
  copy.getContext("2d").drawImage(canvas, 0, 0);
  label(copy, gettext("The original picture"));
  return copy;
}
