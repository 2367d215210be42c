// One picture in the editor: its file, its matte once it has one, and what is drawn from both.

import { ApiFailure, randomKey, upload } from "./api.js";
import { PictureError, decode, makeCanvas, release } from "./canvas.js";
import { compose, cutOut, place, previewSize } from "./compositor.js";
import { encode } from "./encoders.js";
import { MAX_BYTES } from "./files.js";
import { deliveredSize, limitedSize } from "./geometry.js";
import { sizeProblem } from "./settings.js";

const PREVIEW_SIDE = 1400;
const THUMB_SIDE = 240;

export class Picture {
  constructor(file) {
    Object.assign(this, { file, name: file.name, size: null, matte: null, own: null, state: "new", error: null, progress: 0 });
    // The models that made the matte, and that was asked last; "" is the default, null is none yet.
    this.model = this.asked = null;
    this.thumb = document.createElement("canvas");
    // A retry after a lost response costs nothing: the server recognises the key.
    this.key = randomKey();
    this.layers = null;
    this.isSaved = false;
    this.id = randomKey();
    // How sure the model is of the matte, 0-1; null if the server did not say.
    this.confidence = null;
    // Whether a person has looked at a doubtful one and found it good.
    this.isChecked = false;
    // The matte after the brush.
    this.touched = null;
  }

  /** A picture as it was when `toRecord` described it. */
  static fromRecord({ error, ...facts }) {
    return Object.assign(new Picture(facts.file), facts, { error: error && restoredError(error) });
  }

  /** All that is needed to go on with this picture later: plain values and Blobs. */
  toRecord() {
    const { id, file, name, size, matte, touched, own, state, key, model, asked, confidence, isSaved, isChecked } = this;
    const { code, status, message, requestId } = this.error ?? {};
    const error = this.error && { code, status, message, requestId };
    return { id, file, name, size, matte, touched, own, state, key, model, asked, confidence, isSaved, isChecked, error };
  }

  /** Read the file: its upright size, the thumbnail. Throws PictureError before anything is sent. */
  async read() {
    if (this.file.size > MAX_BYTES) throw new PictureError(errorHints.file_too_large.text);
    const original = await decode(this.file);
    this.size = { width: original.width, height: original.height };
    this.drawThumb(original);
    original.close();
  }

  /** Fetch the matte of a model: the only step that costs a credit, and only once for each model. */
  async fetchMatte(url, model, options) {
    // Another model is another request, not a retry.
    if (this.asked !== null && this.asked !== model) this.key = randomKey();
    this.asked = model;
    const fields = [["image", this.file], ["mask", "true"], ["format", "png"], ...(model ? [["model", model]] : [])];
    const { blob: matte, header } = await upload(url, fields, { ...options, key: this.key });
    const confidence = header("X-Confidence");
    Object.assign(this, { matte, touched: null, model, isSaved: false, isChecked: false });
    this.confidence = confidence === null ? null : Number(confidence);
    this.forgetLayers();
  }

  drawThumb(source) {
    const size = limitedSize(source, THUMB_SIDE);
    Object.assign(this.thumb, size);
    this.thumb.getContext("2d").drawImage(source, 0, 0, size.width, size.height);
  }

  /** The original and the cutout at a reduced size, as canvases; kept until `forgetLayers`. */
  getLayers() {
    this.layers ??= this.makeLayers(limitedSize(this.size, PREVIEW_SIDE));
    return this.layers;
  }

  async makeLayers(size) {
    const original = await decode(this.file);
    if (this.matte === null) return { before: scaledCopy(original, size), after: null };
    const matte = await decode(this.matte);
    const layers = cutOut(original, matte, size);
    original.close();
    matte.close();
    return layers;
  }

  /** Free the memory of the layers. */
  async forgetLayers() {
    const layers = this.layers;
    this.layers = null;
    const { before, after } = (await layers?.catch(() => null)) ?? {};
    if (before) release(before);
    if (after) release(after);
  }

  /** Two canvases to show: the original, placed like the result, and the result. */
  async preview(options) {
    const { before, after } = await this.getLayers();
    const size = previewSize(this.size, options, PREVIEW_SIDE);
    return { before: place(before, options, size, null), after: compose(after, options, size) };
  }

  /** The size of the finished file. */
  async deliveredSize(options) {
    return deliveredSize(this.size, options);
  }

  /** The finished file at full size. Throws PictureError with a sentence that says why it cannot be made. */
  async export(options) {
    const problem = sizeProblem(this.size, options);
    if (problem) throw new PictureError(problem);
    const { before, after } = await this.makeLayers(this.size);
    release(before);
    const result = compose(after, options, deliveredSize(this.size, options));
    release(after);
    try {
      return await encode(result, options.format);
    } finally {
      release(result);
    }
  }
}

const restoredError = (error) => (error.code ? new ApiFailure(error) : new PictureError(error.message));

function scaledCopy(source, size) {
  const { canvas, context } = makeCanvas(size);
  context.drawImage(source, 0, 0, size.width, size.height);
  source.close();
  return canvas;
}
