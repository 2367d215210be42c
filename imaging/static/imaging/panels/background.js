// The background: none, a colour, another picture, or the photograph blurred.

import { PictureError, decode, release } from "../canvas.js";
import { MAX_BYTES } from "../files.js";
import { sendable } from "../formats.js";
import { limitedSize } from "../geometry.js";
import { check, numberOf, setNumber, setReason } from "./fields.js";
import { Panel } from "./panel.js";

const MAX_SIDE = 10_000;
const THUMB_SIDE = 160;
const TYPES = ["image/jpeg", "image/png", "image/webp", "image/bmp"];
const byId = (id) => document.getElementById(id);

export class BackgroundPanel extends Panel {
  /** `onImage()` is called when a picture was taken or removed: no event of a control says so. */
  constructor(form, onImage) {
    super(form, "background", ["bg_color", "bg_image", "bg_blur"]);
    Object.assign(this, { onImage, image: null, taking: 0 });
    byId("bg-choose").addEventListener("click", () => byId("bg-file").click());
    byId("bg-remove").addEventListener("click", () => this.remove());
    byId("bg-file").addEventListener("change", (event) => this.choose(event));
    this.root.addEventListener("paste", (event) => this.receive(event, event.clipboardData));
    this.root.addEventListener("drop", (event) => this.receive(event, event.dataTransfer));
    this.markDrops();
  }

  follow(field) {
    if (field.name === "colour") check(this.fields.background, "own");
  }

  read() {
    const { background, colour, bg_blur } = this.fields;
    const kind = background.value;
    const colours = { "": null, own: colour.value, image: null, blur: null };
    return {
      bg_color: kind in colours ? colours[kind] : kind,
      bg_image: kind === "image" ? this.image : null,
      bg_blur: kind === "blur" ? numberOf(bg_blur) : null,
    };
  }

  write({ bg_color, bg_image, bg_blur }) {
    const { background, colour, bg_blur: strength } = this.fields;
    const isKnown = bg_color === null || [...background].some(({ value }) => value === bg_color);
    check(background, bg_image ? "image" : bg_blur ? "blur" : isKnown ? bg_color ?? "" : "own");
    if (!isKnown) colour.value = bg_color;
    if (bg_blur) setNumber(strength, bg_blur);
    if (bg_image && bg_image !== this.image) this.keep(bg_image);
    this.complain("");
  }

  refresh({ format, bg_color, mask }) {
    const kind = this.fields.background.value;
    const isFlat = ["jpeg", "bmp"].includes(format) && (kind === "" || (kind === "image" && !this.image)) && bg_color === null && !mask;
    byId("flat-note").hidden = !isFlat;
    byId("bg-image").hidden = kind !== "image";
    byId("bg-blur").hidden = kind !== "blur";
    setReason(byId("backgrounds"), byId("background-reason"), mask ? gettext("A mask has no background.") : null);
  }

  choose({ target }) {
    const [file] = target.files;
    // The same file may be chosen again.
    target.value = "";
    if (file) this.take(file);
  }

  /** Take a pasted or dropped file as the background. The page, which would add it as another picture, gets it no more. */
  receive(event, data) {
    const [file] = data?.files ?? [];
    if (!file || byId("backgrounds").disabled) return;
    event.preventDefault();
    this.take(file);
  }

  markDrops() {
    const mark = (isOver) => this.root.classList.toggle("drop-here", isOver);
    this.root.addEventListener("dragover", (event) => mark(event.dataTransfer.types.includes("Files") && !byId("backgrounds").disabled));
    for (const name of ["dragleave", "drop"]) this.root.addEventListener(name, () => mark(false));
  }

  async take(file) {
    const taking = ++this.taking;
    let image = null;
    let problem = "";
    try {
      image = await usable(file);
    } catch (error) {
      problem = error.message;
    }
    if (taking !== this.taking) return;
    this.complain(problem);
    if (problem) return;
    check(this.fields.background, "image");
    this.keep(image);
    this.onImage();
  }

  remove() {
    this.keep(null);
    this.onImage();
    byId("bg-choose").focus();
  }

  keep(image) {
    this.image = image;
    byId("bg-thumb").hidden = byId("bg-remove").hidden = image === null;
    byId("bg-name").textContent = image?.name ?? gettext("Drop or paste a picture here. It covers the canvas behind the subject.");
    if (image) drawThumb(image, byId("bg-thumb"));
  }

  complain(problem) {
    byId("bg-problem").textContent = problem;
    byId("bg-problem").hidden = !problem;
  }
}

/** A file as the API takes it for a background. Throws PictureError with the reason if it cannot be one. */
async function usable(given) {
  const { file } = await sendable(given);
  if (file.size > MAX_BYTES) throw new PictureError(errorHints.file_too_large.text);
  if (file.type && !TYPES.includes(file.type)) throw new PictureError(errorHints.invalid_image.text);
  const image = await decode(file);
  const longest = Math.max(image.width, image.height);
  image.close();
  if (longest > MAX_SIDE) throw new PictureError(gettext("A background has at most 10,000 pixels a side. Choose a smaller picture."));
  return file;
}

async function drawThumb(image, canvas) {
  const bitmap = await decode(image);
  release(canvas);
  const size = limitedSize(bitmap, THUMB_SIDE);
  Object.assign(canvas, size);
  canvas.getContext("2d").drawImage(bitmap, 0, 0, size.width, size.height);
  bitmap.close();
}
