// Sends many images, or zips, as one batch: shows the cost beforehand, then the upload's progress.

import { randomKey, request, upload } from "./api.js";
import { MAX_BYTES } from "./files.js";
import { sendable } from "./formats.js";
import { explain, explanation, number } from "./messages.js";
import { fieldsOf } from "./options.js";
import { describe } from "./panels/words.js";

const MAX_PICTURES = 500;
const MAX_TOTAL = 2 * 1024 ** 3;
const MEBIBYTE = 1024 * 1024;

export const isZip = (file) => /\.zip$/i.test(file.name);
const megabytes = (bytes) => new Intl.NumberFormat(document.documentElement.lang, { maximumFractionDigits: 1 }).format(bytes / MEBIBYTE);

/** The fields of a batch's form: the files, and the editor's options. */
const batchFields = (files, options) => [...files.map((file) => [isZip(file) ? "zip" : "image", file]), ...fieldsOf(options)];

/** A description of the options that have no field in the dialog. */
export function otherOptions(options) {
  const texts = describe(options);
  return texts.length ? interpolate(gettext("From the settings: %(list)s."), { list: texts.join(gettext(", ")) }, true) : "";
}

/** What a batch costs where each picture costs one credit. */
function wholeCostText(pictures, zips) {
  if (zips) return gettext("Each picture costs one credit, including those in a zip.");
  const text = ngettext("%(count)s credit is set aside until its picture is done.", "%(count)s credits are set aside, and each is spent when its picture is done.", pictures);
  return interpolate(text, { count: number(pictures) }, true);
}

/** `onOpenHere(files)` gets files to edit here instead; `onSent(files, id)` is called when a batch was accepted. */
export class BatchDialog {
  constructor(dialog, { addresses, token, onOpenHere, onSent }) {
    Object.assign(this, { dialog, addresses, token, onOpenHere, onSent, files: [], originals: [], reading: 0, left: null, sending: null, price: Number(addresses.price) });
    this.part = (name) => dialog.querySelector(`#batch-${name}`);
    this.part("choose").addEventListener("click", () => this.part("files").click());
    this.part("files").addEventListener("change", () => this.take(this.part("files")));
    this.part("form").addEventListener("submit", (event) => this.submit(event));
    this.part("here").addEventListener("click", () => this.openHere());
    this.part("cancel").addEventListener("click", () => this.cancel());
    // Like the button, Escape first stops an upload, and only then closes the dialog.
    dialog.addEventListener("cancel", (event) => { event.preventDefault(); this.cancel(); });
  }

  get isOpen() {
    return this.dialog.open;
  }

  get isSending() {
    return this.sending !== null;
  }

  /** Show the dialog with these files; `canOpenHere` offers to edit them instead. */
  async open(files, options, canOpenHere) {
    Object.assign(this, { files: [], originals: [], options: { ...options }, canOpenHere });
    this.part("format").value = options.format;
    this.offerBackground(options);
    this.part("other").textContent = otherOptions(options);
    this.part("background-field").hidden = options.mask;
    this.tell(null);
    const added = this.add(files);
    this.dialog.showModal();
    await added;
    this.part(files.length ? "send" : "choose").focus();
    await this.askBalance();
  }

  /** Add files while the dialog is open, as the API takes them. Those that this browser cannot convert are left out, and named. */
  async add(files) {
    if (this.isSending) return;
    const { options } = this;
    this.reading++;
    this.show();
    const { ready, remark } = await sendables(files);
    this.reading--;
    // The dialog was closed, and opened again.
    if (options !== this.options) return;
    this.files.push(...ready);
    this.originals.push(...files);
    // Different content is a different batch.
    this.key = randomKey();
    if (remark) this.tell(new Error(remark));
    this.show();
  }

  take(input) {
    const chosen = [...input.files];
    input.value = "";
    this.add(chosen);
  }

  /** What the settings lay behind the subject is a separate choice where the dialog has no other for it. */
  offerBackground({ bg_color, bg_image, bg_blur }) {
    const field = this.part("background");
    const own = field.querySelector("[data-own]");
    const known = !bg_image && !bg_blur && [...field.options].some((option) => option !== own && option.value === (bg_color ?? ""));
    own.hidden = known;
    own.value = bg_color ?? "own";
    own.textContent = known ? "" : ownText({ bg_color, bg_image, bg_blur });
    if (known) field.value = bg_color ?? "";
    else own.selected = true;
  }

  /** The options to send, with what was chosen in the dialog. */
  chosen() {
    const background = this.part("background");
    const isOwn = background.selectedOptions[0].matches("[data-own]");
    const behind = isOwn ? {} : { bg_color: background.value || null, bg_image: null, bg_blur: null };
    return { ...this.options, ...behind, format: this.part("format").value };
  }

  async askBalance() {
    try {
      this.left = (await (await request(this.addresses.balance)).json()).left;
    } catch {
      // The server will report it if there are too few.
      this.left = null;
    }
    this.show();
  }

  show() {
    const zips = this.files.filter(isZip);
    const pictures = this.files.length - zips.length;
    const bytes = this.files.reduce((sum, file) => sum + file.size, 0);
    this.part("what").textContent = this.reading ? gettext("Reading the pictures …") : this.files.length ? whatText(pictures, zips.length, bytes) : gettext("Choose pictures or a zip.");
    this.part("cost").textContent = this.files.length ? this.costText(pictures, zips.length) : "";
    this.limit(this.findProblem(pictures, bytes));
    this.part("here").hidden = !this.canOpenHere || zips.length > 0 || !pictures;
  }

  costText(pictures, zips) {
    const text = this.price === 1 ? wholeCostText(pictures, zips) : interpolate(gettext("Credits for each picture: %(price)s."), { price: number(this.price) }, true);
    if (this.left === null) return text;
    const have = interpolate(ngettext("You have %(left)s credit.", "You have %(left)s credits.", this.left), { left: number(this.left) }, true);
    return `${text} ${have}`;
  }

  findProblem(pictures, bytes) {
    if (pictures > MAX_PICTURES) return interpolate(gettext("A batch has at most %(count)s pictures. Send the others as a second one."), { count: number(MAX_PICTURES) }, true);
    if (bytes > MAX_TOTAL) return gettext("A batch has at most 2 GB. Send some of the pictures as a second one.");
    if (this.left !== null && pictures * this.price > this.left) return gettext("You do not have enough credits. Send fewer pictures, or buy credits.");
    return "";
  }

  limit(problem) {
    const large = this.files.filter((file) => !isZip(file) && file.size > MAX_BYTES).length;
    const warning = large ? interpolate(ngettext("%(count)s picture is larger than 50 MB and will fail.", "%(count)s pictures are larger than 50 MB and will fail.", large), { count: number(large) }, true) : "";
    this.part("limit").textContent = problem || warning;
    this.part("limit").hidden = !problem && !warning;
    this.part("send").disabled = Boolean(problem) || !this.files.length || this.reading > 0 || this.isSending;
  }

  openHere() {
    this.dialog.close();
    this.onOpenHere(this.originals);
  }

  cancel() {
    if (this.isSending) this.sending.abort();
    else this.dialog.close();
  }

  async submit(event) {
    event.preventDefault();
    this.sending = new AbortController();
    this.lock(true);
    this.tell(null);
    let id = null;
    try {
      id = await this.send();
    } catch (error) {
      if (!this.sending.signal.aborted) this.tell(error);
    }
    this.sending = null;
    this.lock(false);
    this.show();
    if (id === null) return;
    this.dialog.close();
    this.onSent([...this.originals, ...this.files], id);
  }

  /** Upload the files. Returns the batch's id. */
  async send() {
    const { blob } = await upload(this.addresses.batches, batchFields(this.files, this.chosen()), {
      token: this.token,
      key: this.key,
      signal: this.sending.signal,
      onProgress: (part) => this.progress(part),
    });
    return JSON.parse(await blob.text()).id;
  }

  progress(part) {
    this.part("progress").value = part;
    const percent = new Intl.NumberFormat(document.documentElement.lang, { style: "percent" }).format(part);
    this.part("state").textContent = part < 1
      ? interpolate(gettext("Uploading: %(percent)s"), { percent }, true)
      : gettext("Uploaded. The server is reading the pictures.");
    // Screen readers announce progress in steps.
    const step = Math.floor(part * 4);
    if (step !== this.step) this.part("said").textContent = this.part("state").textContent;
    this.step = step;
  }

  lock(isLocked) {
    for (const name of ["choose", "format", "background", "here", "send"]) this.part(name).disabled = isLocked;
    this.part("sending").hidden = !isLocked;
    this.part("cancel").textContent = isLocked ? gettext("Stop the upload") : gettext("Cancel");
    if (isLocked) this.progress(0);
  }

  tell(error) {
    this.part("problem").replaceChildren(...(error ? [explanation(error)] : []));
    this.part("problem").hidden = !error;
  }
}

function ownText({ bg_color, bg_image, bg_blur }) {
  if (bg_image) return interpolate(gettext("Your picture, %(name)s"), { name: bg_image.name }, true);
  if (bg_blur) return interpolate(gettext("The photograph, blurred by %(blur)s"), { blur: number(bg_blur) }, true);
  return interpolate(gettext("Your colour, %(colour)s"), { colour: bg_color }, true);
}

/** Files as the API takes them, one after another to save memory, and a remark on what is not as it was. */
async function sendables(files) {
  const ready = [];
  const refused = [];
  let animated = 0;
  for (const file of files) {
    try {
      const { file: sent, note } = isZip(file) ? { file, note: "" } : await sendable(file);
      ready.push(sent);
      if (note) animated++;
    } catch (error) {
      refused.push({ name: file.name, text: explain(error).text });
    }
  }
  return { ready, remark: remarkOn(refused, animated) };
}

function remarkOn(refused, animated) {
  const left = ngettext("%(count)s picture was left out: %(names)s.", "%(count)s pictures were left out: %(names)s.", refused.length);
  const names = refused.map(({ name }) => name).join(gettext(", "));
  const moving = ngettext("%(count)s picture is animated: its first frame is used.", "%(count)s pictures are animated: their first frames are used.", animated);
  const texts = [
    refused.length && interpolate(left, { count: number(refused.length), names }, true),
    ...new Set(refused.map(({ text }) => text)),
    animated && interpolate(moving, { count: number(animated) }, true),
  ];
  return texts.filter(Boolean).join(" ");
}

function whatText(pictures, zips, bytes) {
  const parts = [
    pictures && interpolate(ngettext("%(count)s picture", "%(count)s pictures", pictures), { count: number(pictures) }, true),
    zips && interpolate(ngettext("%(count)s zip", "%(count)s zips", zips), { count: number(zips) }, true),
    interpolate(gettext("%(size)s MB"), { size: megabytes(bytes) }, true),
  ];
  return parts.filter(Boolean).join(gettext(", "));
}
