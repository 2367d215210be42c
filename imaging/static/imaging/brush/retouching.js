// An image, its matte and the strokes on it, with the canvas that shows them. Runs in a worker, or in the page where a browser
// cannot draw in workers; link.js calls its methods in either.
//
// At 12 megapixels: 48 MB for the original, 16 MB for its halves, 12 MB for the matte, at most 48 MB for undoing.

import { encodeGrey } from "./grey-png.js";
import { alphaPlaneOf, decode, makeSurface, planeOf, release } from "../engine/surfaces.js";
import { followEdges } from "./following.js";
import { Painter, makeLevels } from "./painter.js";
import { Stroke, united } from "./strokes.js";
import { History, readTile, tilesIn, writeTile } from "./tiles.js";

const RESET = "reset";

export class Retouching {
  constructor() {
    Object.assign(this, { stroke: null, waiting: [], dirty: null, isViewNew: false, frame: null });
  }

  /**
   * Start. `original`: the upright image, an ImageBitmap of full size, which this closes; `matte`: a Blob; `isOpaque`: whether
   * the original certainly has no transparency; `canvas`: the one to show it on.
   */
  async open({ canvas, original, matte, isOpaque }) {
    const { width, height } = original;
    const ceiling = isOpaque ? null : readOwnAlpha(original);
    this.matte = { width, height, data: await readGrey(matte, { width, height }), ceiling };
    this.history = new History(this.matte);
    this.levels = await makeLevels(original);
    this.painter = new Painter(canvas, this.levels, this.matte);
  }

  /** Show a view and a look as the painter knows them; `outside` is the colour around the image. */
  show({ view, look, outside }) {
    Object.assign(this.painter, { look, outside });
    this.painter.view = view;
    this.isViewNew = true;
    this.schedule();
  }

  /** Begin a stroke; see strokes.js for `brush`. Its `follows` is whether its edge will follow the image's. */
  begin({ brush, points }) {
    this.end();
    this.stroke = new Stroke(this.matte, brush);
    this.follows = brush.follows;
    this.extend({ points });
  }

  /** Go on with the stroke. It is drawn with the next frame. */
  extend({ points }) {
    this.waiting.push(...points);
    this.schedule();
  }

  /** End the stroke. Returns the history's state. */
  end() {
    if (this.stroke) {
      this.takePoints();
      this.stroke.finish();
      this.mark(this.stroke.takeDirty());
      if (this.follows) this.mark(followEdges(this.stroke, (rect) => this.readColours(rect)));
      this.history.add(this.stroke.before, "stroke");
      this.stroke = null;
    }
    return this.history.state;
  }

  /** Take back the stroke that is being drawn, as if it had not begun. */
  abort() {
    this.waiting = [];
    if (this.stroke === null) return;
    for (const [tile, values] of this.stroke.before) writeTile(this.matte, tile, values);
    this.stroke = null;
    this.mark(whole(this.matte));
  }

  /** Undo the last change. Returns the history's state, like the next two. */
  undo() {
    this.end();
    this.mark(this.history.undo());
    return this.history.state;
  }

  redo() {
    this.end();
    this.mark(this.history.redo());
    return this.history.state;
  }

  /** Go back to the matte in a Blob: a change that can be undone. */
  async reset({ matte }) {
    this.end();
    const { width, height } = this.matte;
    const data = await readGrey(matte, { width, height });
    const before = new Map(tilesIn(this.matte, whole(this.matte)).map((tile) => [tile, readTile(this.matte, tile)]));
    this.matte.data.set(data);
    this.history.add(before, RESET);
    this.mark(whole(this.matte));
    return this.history.state;
  }

  /** The value of the matte at a point, 0-255. */
  sample({ x, y }) {
    const { width, height, data } = this.matte;
    const inside = (value, limit) => Math.min(limit - 1, Math.max(0, Math.floor(value)));
    return data[inside(y, height) * width + inside(x, width)];
  }

  /** What has become of the matte: "same", "reset", or the Blob of the new one. */
  async finish() {
    const { isChanged } = this.end();
    if (!isChanged) return "same";
    return this.history.done.at(-1)?.label === RESET ? RESET : encodeGrey(this.matte);
  }

  /** Free the memory. */
  close() {
    cancelAnimationFrame(this.frame);
    for (const level of this.levels ?? []) level.close();
    this.levels = this.matte = this.history = this.painter = null;
  }

  readColours({ left, top, right, bottom }) {
    const [width, height] = [right - left, bottom - top];
    const { canvas, context } = makeSurface({ width, height });
    context.drawImage(this.levels[0], -left, -top);
    const { data } = context.getImageData(0, 0, width, height);
    release(canvas);
    return data;
  }

  takePoints() {
    for (const point of this.waiting) this.stroke.extend(point);
    this.waiting = [];
  }

  mark(rect) {
    this.dirty = united(this.dirty, rect);
    this.schedule();
  }

  schedule() {
    this.frame ??= requestAnimationFrame(() => this.draw());
  }

  draw() {
    this.frame = null;
    if (this.painter === null) return;
    if (this.stroke) {
      this.takePoints();
      this.dirty = united(this.dirty, this.stroke.takeDirty());
    }
    if (this.isViewNew) this.painter.setView(this.painter.view);
    if (this.isViewNew || this.dirty) this.painter.draw(this.isViewNew ? null : this.dirty);
    Object.assign(this, { isViewNew: false, dirty: null });
  }
}

const whole = ({ width, height }) => ({ left: 0, top: 0, right: width, bottom: height });

/** The brightness of the image in a Blob, drawn at a size. */
async function readGrey(blob, size) {
  const image = await decode(blob);
  const { data } = planeOf(image, size);
  release(image);
  return data;
}

/** The alpha of an image; null if all of it is opaque. */
function readOwnAlpha(image) {
  const { data } = alphaPlaneOf(image, { width: image.width, height: image.height });
  return data.every((value) => value === 255) ? null : data;
}
