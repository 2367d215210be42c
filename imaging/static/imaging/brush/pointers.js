// Mouse, finger and pen on the canvas of the brush.

// Zoom for a pixel of the wheel; a trackpad reports a pinch as a wheel with Ctrl, in smaller steps.
const WHEEL_ZOOM = 0.0015;
const PINCH_ZOOM = 0.01;
const PIXELS_PER_LINE = 30;
const ERASER_OF_PEN = 32;

export class Pointers {
  constructor(session) {
    // `mode`: null, "paint", "pan", "pinch", or "rest" after a pinch until all fingers are gone.
    Object.assign(this, { session, down: new Map(), mode: null, isPanKeyDown: false, hasPanned: false, hasPen: false, seen: null });
    const { canvas } = session;
    session.listen(canvas, "pointerdown", (event) => this.press(event));
    session.listen(canvas, "pointermove", (event) => this.move(event));
    session.listen(canvas, "pointerup", (event) => this.lift(event, false));
    session.listen(canvas, "pointercancel", (event) => this.lift(event, true));
    session.listen(canvas, "pointerleave", () => this.seeAt(null));
    session.listen(canvas, "wheel", (event) => this.turnWheel(event), { passive: false });
    // A long press would open a menu in the middle of a stroke.
    session.listen(canvas, "contextmenu", (event) => event.preventDefault());
  }

  press(event) {
    const { session } = this;
    event.preventDefault();
    if (session.isBusy) return;
    session.canvas.focus({ preventScroll: true });
    session.canvas.setPointerCapture(event.pointerId);
    this.down.set(event.pointerId, this.placeOf(event));
    this.hasPen ||= event.pointerType === "pen";
    if (this.down.size === 2) return this.startPinch();
    if (this.down.size > 2 || this.mode) return;
    this.mode = this.modeOf(event);
    if (this.mode !== "paint") return;
    const brush = event.buttons & ERASER_OF_PEN ? { ...session.brush, keeps: false } : session.brush;
    session.beginStroke([this.pointOf(event)], brush);
    this.seeAt(event);
  }

  modeOf({ pointerType, button }) {
    // With a pen in hand, fingers and the ball of the thumb move the picture.
    if (pointerType === "touch") return this.hasPen ? "pan" : "paint";
    if (button === 1 || this.isPanKeyDown) return "pan";
    return button === 0 || pointerType === "pen" ? "paint" : null;
  }

  startPinch() {
    this.session.abortStroke();
    this.mode = "pinch";
    this.seeAt(null);
  }

  move(event) {
    if (this.mode !== "pinch") this.seeAt(event);
    const before = this.down.get(event.pointerId);
    if (before === undefined) return;
    const place = this.placeOf(event);
    const pinched = this.pinchOf();
    this.down.set(event.pointerId, place);
    if (this.mode === "paint") this.session.extendStroke(coalesced(event).map((part) => this.pointOf(part)));
    if (this.mode === "pan") this.pan(place.x - before.x, place.y - before.y);
    if (this.mode === "pinch") this.pinch(pinched, this.pinchOf());
  }

  pan(dx, dy) {
    this.hasPanned = true;
    this.session.changeView(() => this.session.view.pan(dx, dy));
  }

  /** The middle between two fingers, and how far they are apart. */
  pinchOf() {
    if (this.down.size < 2) return null;
    const [one, other] = this.down.values();
    return { x: (one.x + other.x) / 2, y: (one.y + other.y) / 2, distance: Math.hypot(one.x - other.x, one.y - other.y) };
  }

  pinch(before, after) {
    this.session.changeView(() => {
      this.session.view.pan(after.x - before.x, after.y - before.y);
      if (before.distance > 0) this.session.view.zoom(after.distance / before.distance, after.x, after.y);
    });
  }

  lift(event, isCancelled) {
    if (!this.down.delete(event.pointerId)) return;
    if (this.mode === "paint") isCancelled ? this.session.abortStroke() : this.endStroke(event);
    this.mode = this.down.size ? "rest" : null;
    if (event.pointerType === "touch") this.seeAt(null);
  }

  endStroke(event) {
    // Escape may have taken the stroke back while the button was down.
    if (!this.session.isStroking) return;
    this.session.extendStroke([this.pointOf(event)]);
    this.session.endStroke();
  }

  turnWheel(event) {
    event.preventDefault();
    if (this.session.isBusy) return;
    const pixels = event.deltaY * (event.deltaMode === WheelEvent.DOM_DELTA_LINE ? PIXELS_PER_LINE : 1);
    const { x, y } = this.placeOf(event);
    this.session.changeView(() => this.session.view.zoom(Math.exp(-pixels * (event.ctrlKey ? PINCH_ZOOM : WHEEL_ZOOM)), x, y));
  }

  /** Where an event is, in pixels of the canvas. */
  placeOf({ clientX, clientY }) {
    const { left, top } = this.session.canvas.getBoundingClientRect();
    return { x: (clientX - left) * this.session.density, y: (clientY - top) * this.session.density };
  }

  /** The same as a point of a stroke. Only a pen knows its pressure. */
  pointOf(event) {
    const { x, y } = this.placeOf(event);
    return { ...this.session.view.toImage(x, y), pressure: event.pointerType === "pen" ? event.pressure : 1 };
  }

  /** Show the brush's circle where an event is; hide it for null. */
  seeAt(event) {
    this.seen = event && !(event.pointerType === "touch" && this.mode !== "paint") ? this.placeOf(event) : null;
    if (event) this.session.keys.hideCursor();
    this.placeRing();
  }

  placeRing() {
    const { ring, view, size, density, keys } = this.session;
    const place = keys?.cursor ? view.toCanvas(keys.cursor) : this.seen;
    ring.hidden = place === null || (this.isPanKeyDown && !keys?.cursor);
    if (ring.hidden) return;
    const diameter = (size * view.scale) / density;
    ring.style.inlineSize = ring.style.blockSize = `${diameter}px`;
    ring.style.transform = `translate(${place.x / density - diameter / 2}px, ${place.y / density - diameter / 2}px)`;
    ring.toggleAttribute("data-cross", Boolean(keys?.cursor));
  }

  /** The key that makes the mouse move the picture was pressed or released. */
  setPanKey(isDown) {
    if (isDown && !this.isPanKeyDown) this.hasPanned = false;
    this.isPanKeyDown = isDown;
    this.session.stage.toggleAttribute("data-pan", isDown);
    this.placeRing();
  }
}

/** The positions that the browser has merged into one event. */
function coalesced(event) {
  const parts = event.getCoalescedEvents?.() ?? [];
  return parts.length ? parts : [event];
}
