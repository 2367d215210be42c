// The editor: connects the queue, the stage and the settings.

import { offerApiCall } from "./api-call.js";
import { Token } from "./api.js";
import { showBalance } from "./balance.js";
import { BatchDialog, isZip } from "./batch.js";
import { saveAll, saveOne } from "./downloads.js";
import { canWriteWebp } from "./encoders.js";
import { acceptFiles, offerSamples } from "./files.js";
import { History } from "./history.js";
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

const history = new History({ take: takeState, restore: restoreState, onChange: showHistory });
const settings = new Settings(byId("settings"), { onChange: applySettings, onCommit: () => history.seal() });
const stage = new Stage(byId("stage"), byId("facts"), {
  onArrange: (options) => settings.set(options, "arrange"),
  onArranged: () => history.seal(),
});
const showApiCall = offerApiCall(byId("api-call"), studio.dataset);
let shared = { ...settings.defaults };
const view = new QueueView(byId("queue"), { onSelect: select, onAction: act });
const queue = new Queue(removeFrom, { onChange: changed, onPause: announcePause });

const batch = new BatchDialog(byId("batch-dialog"), {
  addresses: studio.dataset,
  token,
  onOpenHere: addFiles,
  onSent: leaveFor,
});

const isUnsaved = (picture) => picture.state === "done" && !picture.isSaved;
const isLeft = (picture) => ["new", "waiting", "failed", "cancelled"].includes(picture.state);
const optionsOf = (picture) => picture.own ?? shared;
const isOfOtherModel = (picture) => picture.state === "done" && ["model", "detail"].some((name) => picture[name] !== optionsOf(picture)[name]);

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
  const { model, detail } = optionsOf(picture);
  await picture.fetchMatte(studio.dataset.rmbg, model, {
    detail,
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
  note.hidden = count === 0;
  if (count === 0) return;
  const text = ngettext("%(count)s picture was cut out with another model.", "%(count)s pictures were cut out with another model.", count);
  byId("again-text").textContent = interpolate(text, { count }, true);
  byId("again").textContent = againText(count, Number(settings.fields.model?.selectedOptions[0].dataset.price ?? studio.dataset.price));
}

function againText(count, price) {
  if (price !== 1) return interpolate(gettext("Cut out again for %(price)s credits each"), { price: number(price) }, true);
  const text = ngettext("Cut it out again for %(count)s credit", "Cut them out again for %(count)s credits", count);
  return interpolate(text, { count }, true);
}

function runAgain() {
  pictures.filter(isOfOtherModel).forEach((picture) => queue.add(picture));
  // The button is gone.
  (settings.fields.model ?? settings.fields.detail).focus();
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
  history.seal();
  draw();
}

function draw() {
  if (selected === null) return;
  if (selected.size) settings.suggest(selected.size);
  const options = optionsOf(selected);
  byId("download").disabled = selected.state !== "done";
  byId("download").textContent = downloadText(options);
  showApiCall(options);
  stage.show(selected, options).catch(tell);
}

function downloadText({ outputs }) {
  if (!outputs) return gettext("Download");
  const count = outputs.length;
  return interpolate(ngettext("Download %(count)s result", "Download %(count)s results", count), { count: number(count) }, true);
}

function applySettings(options, changedField) {
  const isSingle = settings.fields.single.checked;
  history.note(takeState(), changedField);
  if (isSingle) selected.own = options;
  else if (changedField === "single") selected.own = null;
  else shared = options;
  if (changedField === "single") settings.write(optionsOf(selected), isSingle);
  offerAgain();
  if (["model", "detail"].includes(changedField) && !byId("again-note").hidden) announce(byId("again-note").textContent);
  draw();
}

/** What undo goes back to. */
function takeState() {
  return { shared, picture: selected, own: selected?.own ?? null };
}

function restoreState(state) {
  shared = state.shared;
  if (pictures.includes(state.picture)) {
    state.picture.own = state.own;
    select(state.picture);
  } else if (selected) select(selected);
  offerAgain();
}

function showHistory() {
  byId("undo").disabled = !history.past.length;
  byId("redo").disabled = !history.future.length;
}

/** Text fields have their own undo. */
function undoByKey(event) {
  if (!(event.ctrlKey || event.metaKey) || event.altKey || document.querySelector("dialog[open]")) return;
  if (event.target.matches("input:not([type=radio], [type=checkbox], [type=range]), textarea")) return;
  const key = event.key.toLowerCase();
  if (key !== "z" && key !== "y") return;
  event.preventDefault();
  if (key === "y" || event.shiftKey) history.redo();
  else history.undo();
}

function arrange(isOn) {
  byId("arrange").setAttribute("aria-pressed", isOn);
  stage.arrange(isOn);
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
    await saveOne(picture, optionsOf(picture), (text) => { byId("download").textContent = text; });
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
  if (selected) byId("download").textContent = downloadText(optionsOf(selected));
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
byId("again").addEventListener("click", runAgain);
byId("undo").addEventListener("click", () => history.undo());
byId("redo").addEventListener("click", () => history.redo());
byId("arrange").addEventListener("click", () => arrange(!stage.isArranging));
settings.canvas.root.addEventListener("toggle", () => arrange(settings.canvas.root.open));
document.addEventListener("keydown", undoByKey);
window.addEventListener("beforeunload", (event) => (pictures.some(isUnsaved) || batch.isSending) && event.preventDefault());
settings.write(shared, false);
prepareFormats();
