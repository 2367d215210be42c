// One picture in the editor: its file, its matte once it has one, and what is drawn from both.

import { ApiFailure, randomKey, upload } from "./api.js";
import { PictureError, decode, fail, makeCanvas } from "./canvas.js";
import { Foreman } from "./engine/foreman.js";
import { planOf } from "./engine/values.js";
import { MAX_BYTES } from "./files.js";
import { sendable } from "./formats.js";
import { limitedSize } from "./geometry.js";
import { Previews } from "./previews.js";

const THUMB_SIDE = 240;
// The memory of exports is freed soon after the last one.
const IDLE_SECONDS = 10;

const drawing = new Foreman();
const exporting = new Foreman(IDLE_SECONDS);
// Thumbnails of a long list must not keep the large view waiting.
const sketching = new Foreman(IDLE_SECONDS);
const imageKeys = new WeakMap();

export class Picture {
  constructor(file) {
    Object.assign(this, { file, name: file.name, size: null, matte: null, touched: null, confidence: null, own: null, state: "new", error: null, progress: 0 });
    // The models that made the matte, and that was asked last; "" is the default, null is none yet. So `detail`.
    this.model = this.detail = this.asked = null;
    this.thumb = document.createElement("canvas");
    // A retry after a lost response costs nothing: the server recognises the key.
    this.key = randomKey();
    this.layersKey = randomKey();
    this.previews = new Previews((plan, isDraft) => drawing.run({ kind: "preview", source: this.source, plan, isDraft }));
    this.isSaved = false;
    this.id = randomKey();
    // What was lost when the file was read, in a sentence.
    this.note = "";
    // Whether a person has looked at a doubtful one and found it good.
    this.isChecked = false;
  }

  /** A picture as it was when `toRecord` described it. */
  static fromRecord({ error, ...facts }) {
    return Object.assign(new Picture(facts.file), facts, { error: error && restoredError(error) });
  }

  /** All that is needed to go on with this picture later: plain values and Blobs. */
  toRecord() {
    const { id, file, name, size, matte, touched, confidence, own, state, key, model, detail, asked, isSaved, isChecked } = this;
    const { code, status, message, requestId } = this.error ?? {};
    const error = this.error && { code, status, message, requestId };
    return { id, file, name, size, matte, touched, confidence, own, state, key, model, detail, asked, isSaved, isChecked, error };
  }

  /** Read the file: one that the API takes, its upright size, the thumbnail. Throws PictureError before anything is sent. */
  async read() {
    Object.assign(this, await sendable(this.file));
    if (this.file.size > MAX_BYTES) throw new PictureError(errorHints.file_too_large.text);
    const original = await this.getOriginal();
    this.size = { width: original.width, height: original.height };
    this.drawThumb(original);
    original.close();
  }

  /** Fetch the matte of a model: the only step that costs a credit, and only once for each model. */
  async fetchMatte(url, model, { detail, ...options }) {
    // Another model is another request, not a retry.
    const asked = `${model} ${detail}`;
    if (this.asked !== null && this.asked !== asked) this.key = randomKey();
    this.asked = asked;
    const choice = [...(model ? [["model", model]] : []), ...(detail === "fast" ? [["detail", detail]] : [])];
    const { blob: matte, header } = await upload(url, [["image", this.file], ["mask", "true"], ["format", "png"], ...choice], { ...options, key: this.key });
    // Null is unknown: a server of the release before does not say.
    const confidence = header("X-Confidence") && Number(header("X-Confidence"));
    Object.assign(this, { matte, confidence, model, detail, touched: null, isSaved: false, isChecked: false });
    this.forgetLayers();
  }

  /** Replace the matte after the brush; null goes back to the model's. */
  setTouched(blob) {
    Object.assign(this, { touched: blob, isSaved: false });
    this.forgetLayers();
  }

  /** The upright full-size image, decoded from the file; the caller closes it. Throws PictureError. */
  getOriginal() {
    return decode(this.file);
  }

  drawThumb(source) {
    const size = limitedSize(source, THUMB_SIDE);
    Object.assign(this.thumb, size);
    this.thumb.getContext("2d").drawImage(source, 0, 0, size.width, size.height);
  }

  /** Draw the finished image as the thumbnail. Throws PictureError. */
  async sketch(options) {
    const { source } = this;
    const job = sketching.run({ kind: "preview", source, plan: planFor(options), isDraft: true });
    sketching.run({ kind: "forget", key: source.key }).catch(() => {});
    const { before, after } = await job.catch(fail);
    this.drawThumb(after);
    before.close?.();
    after.close?.();
  }

  /** What the workers draw from. */
  get source() {
    return { key: this.layersKey, file: this.file, matte: this.touched ?? this.matte };
  }

  /** Canvases of the original and of the cutout at a reduced size, the second null without a matte. Throws PictureError. */
  async getLayers() {
    const { before, after } = await drawing.run({ kind: "open", source: this.source }).catch(fail);
    return { before: canvasOf(before), after: after && canvasOf(after) };
  }

  /** Free the memory of what previews are drawn from. */
  forgetLayers() {
    this.previews.cancel();
    drawing.run({ kind: "forget", key: this.layersKey });
    // Work that still runs must not leave layers under the name of others.
    this.layersKey = randomKey();
  }

  /**
   * The finished image at a size for the screen: {before, after, canvas, subject}.
   *
   * `before` and `after` are canvases of the original, placed like the result, and of the result. `canvas` is the delivered
   * size, `subject` the subject's box there, [left, top, right, bottom] or null. A later call supersedes an earlier one, which
   * then gets the later one's result. While calls follow quickly, canvases are coarse at first. Throws PictureError.
   */
  async preview(options) {
    try {
      return await this.previews.draw(planFor(options));
    } catch (error) {
      return fail(error);
    }
  }

  /** The size of the finished image. Throws PictureError. */
  async deliveredSize(options) {
    try {
      return await drawing.run({ kind: "measure", source: this.source, plan: planFor(options) });
    } catch (error) {
      return fail(error);
    }
  }

  /** The finished file at full size. Throws PictureError with a sentence that says why it cannot be made. */
  async export(options) {
    try {
      return await exporting.run({ kind: "export", source: this.source, plan: planFor(options) });
    } catch (error) {
      return fail(error);
    }
  }
}

const restoredError = (error) => (error.code ? new ApiFailure(error) : new PictureError(error.message));

/** A background image keeps its key, so that it is decoded once for many previews. */
function planFor(options) {
  const plan = planOf(options);
  if (!plan.image) return plan;
  if (!imageKeys.has(plan.image)) imageKeys.set(plan.image, randomKey());
  return { ...plan, imageKey: imageKeys.get(plan.image) };
}

function canvasOf(source) {
  const { canvas, context } = makeCanvas(source);
  context.drawImage(source, 0, 0);
  source.close?.();
  return canvas;
}
