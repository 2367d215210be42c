// The keyboard in the brush: shortcuts anywhere in the dialog, and a cursor on the canvas that paints without a pointer.

import { percent } from "../messages.js";

// A step of the cursor and of the view, in pixels of the page.
const STEP = 8;
const PAN_STEP = 60;
// The cursor stays this far from the edge of the canvas, unless the picture ends there.
const CLEARANCE = 60;
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const TOOLS = { k: "keep", e: "erase" };
const COMMANDS = { "+": "larger", "=": "larger", "-": "smaller", 0: "fit" };
const KEPT_FROM = 250;
const ERASED_TO = 5;

export class Keys {
  constructor(session) {
    // `cursor`: a point of the picture, or null until an arrow key is pressed; `isDown`: whether the cursor is painting.
    Object.assign(this, { session, cursor: null, isDown: false });
    session.listen(session.dialog, "keydown", (event) => this.press(event));
    session.listen(session.canvas, "keydown", (event) => this.pressOnCanvas(event));
    session.listen(session.canvas, "keyup", (event) => event.key === " " && this.releaseSpace());
    session.listen(session.canvas, "blur", () => this.leave());
  }

  press(event) {
    if (event.defaultPrevented) return;
    if (this.react(event)) event.preventDefault();
  }

  /** Whether the key is a shortcut. */
  react(event) {
    const { session } = this;
    if (event.key === "Escape") return this.escape();
    const letter = letterOf(event);
    if (event.ctrlKey || event.metaKey) return this.changeHistory(letter, event.shiftKey);
    if (event.altKey || session.isBusy) return false;
    const bracket = { BracketLeft: -1, BracketRight: 1 }[event.code] ?? { "[": -1, "]": 1 }[event.key];
    if (bracket) event.shiftKey ? session.harden(bracket) : session.resize(bracket);
    else if (letter in TOOLS) session.choose(TOOLS[letter]);
    else if (event.key in COMMANDS) session.do(COMMANDS[event.key]);
    else return false;
    return true;
  }

  changeHistory(letter, hasShift) {
    if (letter === "z") this.session.do(hasShift ? "redo" : "undo");
    else if (letter === "y") this.session.do("redo");
    else return false;
    return true;
  }

  /** Take back a stroke that is being drawn; else cancel. */
  escape() {
    const { session } = this;
    if (!session.isStroking) session.do("cancel");
    else session.abortStroke();
    this.isDown = false;
    return true;
  }

  pressOnCanvas(event) {
    if (this.session.isBusy || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key in ARROWS) this.arrow(ARROWS[event.key], event.shiftKey);
    else if (event.key === "Enter") this.toggle();
    else if (event.key === " ") this.session.pointers.setPanKey(true);
    else return;
    event.preventDefault();
  }

  arrow([x, y], isPan) {
    const { session } = this;
    if (isPan) return session.changeView(() => session.view.pan(-x * PAN_STEP * session.density, -y * PAN_STEP * session.density));
    // At least a pixel of the picture: zoomed in, the cursor is as exact as that.
    const step = Math.max(1, (STEP * session.density) / session.view.scale);
    const from = this.getCursor();
    const within = (value, limit) => Math.min(limit, Math.max(0, value));
    this.cursor = { x: within(from.x + x * step, session.view.image.width), y: within(from.y + y * step, session.view.image.height), pressure: 1 };
    session.changeView(() => session.view.reveal(this.cursor, CLEARANCE * session.density));
    if (this.isDown) session.extendStroke([this.cursor]);
    else this.describe();
  }

  getCursor() {
    const { view } = this.session;
    return this.cursor ?? { ...view.toImage(view.width / 2, view.height / 2), pressure: 1 };
  }

  /** Put the brush down at the cursor, or lift it. */
  toggle() {
    const { session } = this;
    if (session.isStroking && !this.isDown) return;
    this.cursor = this.getCursor();
    this.isDown = !this.isDown;
    if (this.isDown) session.beginStroke([this.cursor]);
    else session.endStroke();
    session.pointers.placeRing();
    session.say(this.isDown ? gettext("The brush is down: the arrow keys paint, Enter lifts it.") : gettext("The brush is lifted."));
  }

  /** Space moves the picture with the mouse; without that it paints a dab. */
  releaseSpace() {
    const { session } = this;
    const { hasPanned, isPanKeyDown } = session.pointers;
    session.pointers.setPanKey(false);
    if (hasPanned || !isPanKeyDown || session.isStroking || session.isBusy) return;
    this.cursor = this.getCursor();
    session.beginStroke([this.cursor]);
    session.endStroke();
    session.pointers.placeRing();
    this.describe();
  }

  leave() {
    if (this.isDown) this.toggle();
    this.session.pointers.setPanKey(false);
  }

  hideCursor() {
    if (!this.isDown) this.cursor = null;
  }

  /** Announce where the cursor is and what the matte has there. */
  async describe() {
    const { session, cursor } = this;
    const value = await session.send("sample", cursor);
    if (value === undefined || cursor !== this.cursor) return;
    const { width, height } = session.view.image;
    const state = value >= KEPT_FROM ? gettext("kept") : value <= ERASED_TO ? gettext("erased") : gettext("partly kept");
    const facts = { x: percent(cursor.x / width), y: percent(cursor.y / height), state };
    session.say(interpolate(gettext("%(x)s from the left, %(y)s from the top: %(state)s"), facts, true));
  }
}

/** The Latin letter of a key, whatever the keyboard's script. */
function letterOf({ key, code }) {
  if (/^[a-z]$/i.test(key)) return key.toLowerCase();
  return /^[\x20-\x7e]$/.test(key) ? "" : (code.match(/^Key([A-Z])$/)?.[1] ?? "").toLowerCase();
}
