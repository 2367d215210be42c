// The editor: connects the queue, the stage and the settings.

import { Token } from "./api.js";
import { showBalance } from "./balance.js";
import { BatchDialog, isZip } from "./batch.js";
import { TouchUps } from "./brush/touch-ups.js";
import { backgroundOf } from "./compositor.js";
import { saveAll, saveOne } from "./downloads.js";
import { canWriteWebp } from "./encoders.js";
import { acceptFiles, offerSamples } from "./files.js";
import { explain, number } from "./messages.js";
import { Picture } from "./picture.js";
import { Queue } from "./queue.js";
import { QueueView, stateText } from "./queue-view.js";
import { Settings } from "./settings.js";
import { Stage } from "./stage.js";

// With more files than this at once, the editor offers a batch.
const MANY = 10;

const byId = (id) => document.getElementById(id);
const studio = byId("studio");
const token = new Token(studio.dataset.token);
const pictures = [];
let selected = null;

const stage = new Stage(byId("stage"), byId("facts"));
const settings = new Settings(byId("settings"), applySettings);
let shared = { ...settings.defaults };
const view = new QueueView(byId("queue"), { onSelect: select, onAction: act });
const queue = new Queue(removeFrom, { onChange: changed, onPause: announcePause });

const touchUps = new TouchUps({ onTouched: showTouched, onError: (error) => tell(error) });

const batch = new BatchDialog(byId("batch-dialog"), {
  addresses: studio.dataset,
  token,
  onOpenHere: addFiles,
  onSent: leaveFor,
});

const isUnsaved = (picture) => picture.state === "done" && !picture.isSaved;
const isLeft = (picture) => ["new", "waiting", "failed", "cancelled"].includes(picture.state);
const optionsOf = (picture) => picture.own ?? shared;
const isOfOtherModel = (picture) => picture.state === "done" && picture.model !== optionsOf(picture).model;

/** Route new files: into the open dialog, into a new dialog that offers a batch, or into the queue. */
function take(files) {
  if (batch.isOpen) batch.add(files);
  else if (files.length > MANY || files.some(isZip)) batch.open(files, shared, true);
  else addFiles(files);
}

/** Offer the pictures that are not done yet as a batch. */
function openBatch() {
  batch.open(pictures.filter(isLeft).map(({ file }) => file), shared, false);
}

/** Go to the page of a batch that was sent, and remove its pictures here. */
function leaveFor(files, id) {
  pictures.filter((picture) => isLeft(picture) && files.includes(picture.file)).forEach((picture) => {
    queue.cancel(picture);
    remove(picture);
  });
  location.assign(`${studio.dataset.batchPages}/${id}`);
}

function addFiles(files) {
  const added = files.map((file) => new Picture(file));
  pictures.push(...added);
  added.forEach((picture) => view.add(picture));
  showState();
  if (selected === null) select(added[0]);
  added.forEach((picture) => queue.add(picture));
}

/** The queue's work: read the file, then ask for its matte. */
async function removeFrom(picture, signal) {
  picture.progress = 0;
  if (picture.size === null) await picture.read();
  if (picture === selected) draw();
  await picture.fetchMatte(studio.dataset.rmbg, optionsOf(picture).model, {
    token,
    signal,
    onProgress: (part) => {
      picture.progress = part;
      view.update(picture);
      if (picture === selected) draw();
    },
  });
  picture.drawThumb((await picture.getLayers()).after);
}

/** Show a picture whose matte was changed by hand. */
async function showTouched(picture) {
  draw();
  picture.drawThumb((await picture.getLayers()).after);
}

function changed(picture) {
  if (picture.matte !== null && ["failed", "cancelled"].includes(picture.state)) return keepResult(picture);
  view.update(picture);
  if (picture === selected) draw();
  else if (picture.state === "done") picture.forgetLayers();
  // A cancelled picture may have been delivered all the same.
  if (["done", "cancelled"].includes(picture.state)) showBalance(byId("balance"), studio.dataset.balance);
  const text = picture.error ? explain(picture.error).text : stateText(picture);
  if (["done", "failed", "cancelled"].includes(picture.state)) announce(`${picture.name}: ${text}`);
  showState();
}

/** Another model was cancelled or has failed: go back to the result that there is. */
function keepResult(picture) {
  const { error } = picture;
  Object.assign(picture, { state: "done", error: null });
  changed(picture);
  if (error) tell(error);
}

/** Offer to run again what another model than the chosen one has made, and name the price. */
function offerAgain() {
  const note = byId("again-note");
  const count = pictures.filter(isOfOtherModel).length;
  if (note === null || count === 0) return void (note?.toggleAttribute("hidden", true));
  const text = ngettext("%(count)s picture was cut out with another model.", "%(count)s pictures were cut out with another model.", count);
  note.hidden = false;
  byId("again-text").textContent = interpolate(text, { count }, true);
  byId("again").textContent = againText(count, Number(byId("settings").elements.model.selectedOptions[0].dataset.price));
}

function againText(count, price) {
  if (price !== 1) return interpolate(gettext("Cut out again for %(price)s credits each"), { price: number(price) }, true);
  const text = ngettext("Cut it out again for %(count)s credit", "Cut them out again for %(count)s credits", count);
  return interpolate(text, { count }, true);
}

async function runAgain() {
  if (!(await touchUps.mayReplace(pictures.filter(isOfOtherModel)))) return;
  pictures.filter(isOfOtherModel).forEach((picture) => queue.add(picture));
  // The button is gone.
  byId("settings").elements.model.focus();
}

function act(action, picture) {
  const actions = {
    cancel: () => queue.cancel(picture),
    retry: () => queue.add(picture),
    download: () => download(picture),
    remove: () => remove(picture),
  };
  actions[action]();
}

function remove(picture) {
  const at = pictures.indexOf(picture);
  pictures.splice(at, 1);
  view.remove(picture);
  touchUps.leave(picture);
  picture.forgetLayers();
  const next = pictures[Math.min(at, pictures.length - 1)] ?? null;
  if (picture === selected) select(next);
  showState();
  if (next) view.focus(next);
  else byId("choose").focus();
}

function select(picture) {
  if (selected && selected !== picture) selected.forgetLayers();
  selected = picture;
  if (picture === null) return;
  view.select(picture);
  settings.write(optionsOf(picture), picture.own !== null);
  draw();
}

function draw() {
  touchUps.show(selected, selected && backgroundOf(optionsOf(selected)));
  if (selected === null) return;
  if (selected.size) settings.suggest(selected.size);
  byId("download").disabled = selected.state !== "done";
  stage.show(selected, optionsOf(selected)).catch(tell);
}

function applySettings(options, changedField) {
  const isSingle = byId("settings").elements.single.checked;
  if (isSingle) selected.own = options;
  else if (changedField === "single") selected.own = null;
  else shared = options;
  if (changedField === "single") settings.write(optionsOf(selected), isSingle);
  offerAgain();
  if (changedField === "model" && !byId("again-note").hidden) announce(byId("again-note").textContent);
  draw();
}

/** Run `produce` with the button disabled, and show any error. */
async function saving(button, produce) {
  button.disabled = true;
  try {
    await produce();
    hideNotice();
  } catch (error) {
    tell(error);
  }
  button.disabled = false;
  showState();
}

function download(picture) {
  return saving(byId("download"), async () => {
    await saveOne(picture, optionsOf(picture));
    picture.isSaved = true;
  });
}

function downloadAll() {
  return saving(byId("download-all"), async () => {
    const ready = pictures.filter(({ state }) => state === "done");
    await saveAll(ready, optionsOf, (text) => { byId("download-all").textContent = text; });
    ready.forEach((picture) => { picture.isSaved = true; });
  });
}

function showState() {
  const ready = pictures.filter(({ state }) => state === "done").length;
  byId("welcome").hidden = pictures.length > 0;
  byId("workbench").hidden = pictures.length === 0;
  studio.dataset.state = pictures.length ? "filled" : "empty";
  byId("download-all").hidden = ready < 2;
  byId("download-all").textContent = interpolate(gettext("Download all (%(count)s)"), { count: ready }, true);
  offerAgain();
}

function announcePause(seconds) {
  const text = ngettext(
    "The server is busy: continuing in %(seconds)s second.",
    "The server is busy: continuing in %(seconds)s seconds.",
    seconds,
  );
  notify(interpolate(text, { seconds }, true));
  setTimeout(hideNotice, seconds * 1000);
}

const announce = (text) => { byId("announcer").textContent = text; };
const tell = (error) => notify(explain(error).text);

function notify(text) {
  byId("notice").textContent = text;
  byId("notice").hidden = false;
  announce(text);
}

function hideNotice() {
  byId("notice").hidden = true;
}

async function prepareFormats() {
  if (await canWriteWebp()) return;
  settings.lackWebp();
  shared = { ...settings.defaults };
  settings.write(shared, false);
}

acceptFiles({ input: byId("files"), dropZone: document.body, onFiles: take });
offerSamples(document.querySelectorAll("[data-sample]"), (file) => addFiles([file]), tell);
for (const id of ["add", "choose"]) {
  byId(id).disabled = false;
  byId(id).addEventListener("click", () => byId("files").click());
}
for (const id of ["batch", "batch-first"]) {
  byId(id).disabled = false;
  byId(id).addEventListener("click", openBatch);
}
if (location.hash === "#batch") openBatch();
byId("download").addEventListener("click", () => download(selected));
byId("download-all").addEventListener("click", downloadAll);
byId("reset").addEventListener("click", () => settings.reset());
byId("again")?.addEventListener("click", runAgain);
window.addEventListener("beforeunload", (event) => (pictures.some(isUnsaved) || batch.isSending) && event.preventDefault());
settings.write(shared, false);
prepareFormats();
