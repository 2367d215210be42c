// What part of an image a canvas shows: zoom and pan. All lengths in pixels of the canvas, but for those of the image.

// A pixel of the image is at most this wide.
const LARGEST = 32;
// At the smallest, the image is half as large as where it fits.
const SMALLEST_OF_FIT = 0.5;
// Of the canvas's shorter side, free around an image that fits.
const MARGIN = 0.03;

export class View {
  /** `image`: its size in pixels. */
  constructor(image) {
    Object.assign(this, { image, width: 1, height: 1, scale: 1, left: 0, top: 0, isFitted: true });
  }

  /** What the painter needs. */
  get facts() {
    const { width, height, scale, left, top } = this;
    return { width, height, scale, left, top };
  }

  get fittingScale() {
    const margin = 2 * MARGIN * Math.min(this.width, this.height);
    return Math.min((this.width - margin) / this.image.width, (this.height - margin) / this.image.height);
  }

  /** Another size of the canvas: what was in the middle stays there. */
  resize(width, height) {
    const middle = this.toImage(this.width / 2, this.height / 2);
    Object.assign(this, { width: Math.max(1, width), height: Math.max(1, height) });
    if (this.isFitted) this.fit();
    else this.place(middle, this.width / 2, this.height / 2);
  }

  /** Show all of the image. */
  fit() {
    this.scale = Math.min(LARGEST, this.fittingScale);
    this.place({ x: this.image.width / 2, y: this.image.height / 2 }, this.width / 2, this.height / 2);
    this.isFitted = true;
  }

  /** Enlarge by a factor; the point of the image at (x, y) stays there. */
  zoom(factor, x = this.width / 2, y = this.height / 2) {
    const fixed = this.toImage(x, y);
    const smallest = Math.min(1, this.fittingScale * SMALLEST_OF_FIT);
    this.scale = Math.min(LARGEST, Math.max(smallest, this.scale * factor));
    this.place(fixed, x, y);
  }

  pan(dx, dy) {
    this.place(this.toImage(0, 0), dx, dy);
  }

  /** Move, if necessary, so that a point of the image is at least `distance` from the edge of the canvas. */
  reveal(point, distance) {
    const at = this.toCanvas(point);
    const missing = (value, length) => Math.max(0, Math.min(distance, length / 2) - value) - Math.max(0, value - (length - Math.min(distance, length / 2)));
    const [dx, dy] = [missing(at.x, this.width), missing(at.y, this.height)];
    if (dx || dy) this.pan(dx, dy);
    return Boolean(dx || dy);
  }

  toImage(x, y) {
    return { x: (x - this.left) / this.scale, y: (y - this.top) / this.scale };
  }

  toCanvas({ x, y }) {
    return { x: x * this.scale + this.left, y: y * this.scale + this.top };
  }

  /** Put a point of the image at (x, y). Some of the image stays in the middle: it cannot be lost. */
  place(point, x, y) {
    const within = (offset, length, middle) => Math.min(middle, Math.max(middle - length, offset));
    this.left = Math.round(within(x - point.x * this.scale, this.image.width * this.scale, this.width / 2));
    this.top = Math.round(within(y - point.y * this.scale, this.image.height * this.scale, this.height / 2));
    this.isFitted = false;
  }
}
