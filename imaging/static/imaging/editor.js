// The editor: connects the queue, the stage and the settings.

import { offerApiCall } from "./api-call.js";
import { Token } from "./api.js";
import { showBalance } from "./balance.js";
import { BatchDialog, isZip } from "./batch.js";
import { TouchUps } from "./brush/touch-ups.js";
import { doubtText, isDoubtful } from "./doubt.js";
import { factsOf, saveAll, saveOne } from "./downloads.js";
import { canWriteWebp } from "./encoders.js";
import { acceptFiles, offerSamples } from "./files.js";
import { History } from "./history.js";
import { Keeper } from "./keeper.js";
import { Many, confirmed, counted, isOpen } from "./many.js";
import { explain, number } from "./messages.js";
import { Naming } from "./naming.js";
import { Picture } from "./picture.js";
import { Queue } from "./queue.js";
import { QueueView, stateText } from "./queue-view.js";
import { Selection } from "./selection.js";
import { Settings } from "./settings.js";
import { Stage } from "./stage.js";
import { forgetEverything } from "./store.js";
import { Thumbs } from "./thumbs.js";

// With more files than this at once, the editor offers a batch.
const MANY = 10;

const byId = (id) => document.getElementById(id);
const studio = byId("studio");
const token = new Token(studio.dataset.token);
const pictures = [];
let selected = null;

const history = new History({ take: takeState, restore: restoreState, onChange: showHistory });
const settings = new Settings(byId("settings"), { onChange: applySettings, onCommit: () => history.seal(), onLook: look });
const stage = new Stage(byId("stage"), byId("facts"), {
  onArrange: (options) => settings.set(options, "arrange"),
  onArranged: () => history.seal(),
});
const showApiCall = offerApiCall(byId("api-call"), studio.dataset);
let shared = { ...settings.defaults };
const selection = new Selection(() => many.showSelection());
const view = new QueueView(byId("queue"), { selection, onSelect: select, onOpen: open, onAction: act, findDoubt });
const many = new Many(studio, {
  pictures,
  view,
  selection,
  findDoubt,
  actions: { copy: copySettings, download: downloadAll, again: runAll, batch: openBatch, remove: removeSome, stop: stopAll },
});
const thumbs = new Thumbs(optionsOf);
const naming = new Naming(findExample);
const keeper = new Keeper({ account: studio.dataset.account, getShared: () => shared, onTrouble: notify, onChange: noteKeeping });
const queue = new Queue(removeFrom, { onChange: changed, onPause: announcePause });

const touchUps = new TouchUps({ onTouched: showChecked, onError: (error) => tell(error) });

const batch = new BatchDialog(byId("batch-dialog"), {
  addresses: studio.dataset,
  token,
  onOpenHere: addFiles,
  onSent: leaveFor,
});

const isUnsaved = (picture) => picture.state === "done" && !picture.isSaved;
// A log-out deletes what is kept.
let isLoggingOut = false;
const isAtRisk = (picture) => isUnsaved(picture) && (isLoggingOut || !keeper.isKept(picture));
const isLeft = (picture) => ["new", "waiting", "failed", "cancelled"].includes(picture.state);
const subjectOf = (picture) => ({ picture, options: optionsOf(picture), number: pictures.indexOf(picture) + 1 });
const isOfOtherModel = (picture) => picture.state === "done" && ["model", "detail"].some((name) => picture[name] !== optionsOf(picture)[name]);

function optionsOf(picture) {
  return picture.own ?? shared;
}

/** Why a person should look at a result; null if there is no reason. */
function findDoubt(picture) {
  return isDoubtful(picture, Number(studio.dataset.doubtful)) ? doubtText(picture) : null;
}

/** What a download of the picture that is shown is named after; before it is done, the size is the original's. */
function findExample() {
  const subject = subjectOf(selected);
  if (selected.state === "done") return factsOf(subject);
  return { name: selected.name, extension: subject.options.format, number: subject.number, ...selected.size };
}

/** Route new files: into the open dialog, into a new dialog that offers a batch, or into the queue. */
function take(files) {
  if (batch.isOpen) batch.add(files);
  else if (files.length > MANY || files.some(isZip)) batch.open(files, shared, true);
  else addFiles(files);
}

/** Offer pictures as a batch: by default those that are not done yet. */
function openBatch(some = pictures.filter(isLeft)) {
  batch.open(some.map(({ file }) => file), shared, false);
}

/** Go to the page of a batch that was sent, and remove its pictures here. */
async function leaveFor(files, id) {
  await remove(pictures.filter((picture) => isLeft(picture) && files.includes(picture.file)));
  location.assign(`${studio.dataset.batchPages}/${id}`);
}

function addFiles(files) {
  const added = files.map((file) => new Picture(file));
  list(added);
  runAll(added);
}

function list(added) {
  pictures.push(...added);
  added.forEach((picture) => thumbs.add(picture, view.add(picture)));
  if (selected === null) select(added[0]);
  showState();
}

/** List the pictures that this browser has kept, and go on with those that were interrupted. */
async function restore() {
  const kept = await keeper.restore();
  if (kept.pictures.length === 0) return;
  shared = { ...shared, ...kept.shared };
  list(kept.pictures);
  runAll(kept.pictures.filter(isOpen));
  const text = ngettext("%(count)s picture is back.", "%(count)s pictures are back.", kept.pictures.length);
  announce(counted(text, kept.pictures.length));
}

/** The queue's work: read the file, then ask for its matte. */
async function removeFrom(picture, signal) {
  picture.progress = 0;
  if (picture.size === null) await picture.read();
  if (picture.note) notify(`${picture.name}: ${picture.note}`);
  if (picture === selected) draw();
  const { model, detail } = optionsOf(picture);
  await picture.fetchMatte(studio.dataset.rmbg, model, {
    detail,
    token,
    signal,
    onProgress: (part) => {
      picture.progress = part;
      view.update(picture);
      keeper.keep(picture);
      if (picture === selected) draw();
    },
  });
}

function changed(picture) {
  if (picture.matte !== null && ["failed", "cancelled"].includes(picture.state)) return keepResult(picture);
  view.update(picture);
  keeper.keep(picture);
  if (picture === selected) draw();
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

async function runAgain() {
  if (!(await touchUps.mayReplace(pictures.filter(isOfOtherModel)))) return;
  pictures.filter(isOfOtherModel).forEach((picture) => queue.add(picture));
  // The button is gone.
  (settings.fields.model ?? settings.fields.detail).focus();
}

function act(action, picture) {
  const actions = {
    cancel: () => queue.cancel(picture),
    retry: () => queue.add(picture),
    download: () => download(picture),
    remove: () => remove([picture]),
  };
  actions[action]();
}

function runAll(some) {
  some.forEach((picture) => queue.add(picture));
}

function stopAll(some) {
  some.forEach((picture) => queue.cancel(picture));
}

/** Take pictures out of the list, and show the one after them. Returns when nothing of them is kept. */
function remove(some) {
  const at = pictures.indexOf(some[0]);
  stopAll(some.filter(isOpen));
  for (const picture of some) {
    pictures.splice(pictures.indexOf(picture), 1);
    selection.remove(picture);
    thumbs.remove(picture, view.rows.get(picture));
    view.remove(picture);
    touchUps.leave(picture);
    picture.forgetLayers();
  }
  const next = pictures[Math.min(at, pictures.length - 1)] ?? null;
  if (some.includes(selected)) select(next);
  showState();
  if (next) view.focus(next);
  else byId("choose").focus();
  return keeper.drop(some);
}

/** Remove several, after a question if results would be lost. */
async function removeSome(some) {
  const lost = some.filter(isUnsaved).length;
  const title = ngettext("Remove %(count)s picture?", "Remove %(count)s pictures?", some.length);
  const text = ngettext("%(count)s result has not been downloaded, and will be lost.", "%(count)s results have not been downloaded, and will be lost.", lost);
  const question = { title: counted(title, some.length), text: counted(text, lost), yes: gettext("Remove") };
  if (lost === 0 || (await confirmed(question))) remove(some);
}

/** Remove all pictures, from the page and from the browser. */
async function forget() {
  const text = gettext("All pictures and results are removed from this page and from this browser. What you have not downloaded is lost.");
  if (!(await confirmed({ title: gettext("Forget these pictures?"), text, yes: gettext("Forget them") }))) return;
  await remove([...pictures]);
  announce(gettext("The pictures are forgotten."));
}

/** Show a picture large. */
function open(picture) {
  select(picture);
  many.setView("rail");
}

/** Give `some` the settings of the picture that is shown. */
function copySettings(some) {
  const options = optionsOf(selected);
  const text = ngettext("The settings of %(name)s were copied to %(count)s picture.", "The settings of %(name)s were copied to %(count)s pictures.", some.length);
  changeMany(interpolate(text, { name: selected.name, count: number(some.length) }, true), () => {
    for (const picture of some) picture.own = options;
  });
}

/** Make the settings of the picture that is shown those of all, and of the ones to come. */
function copyToAll() {
  changeMany(gettext("All pictures have these settings now."), () => {
    shared = optionsOf(selected);
    for (const picture of pictures) picture.own = null;
  });
}

/** Change the settings of many as one step. It costs nothing: the mattes stay. */
function changeMany(text, change) {
  history.note(takeState(), text);
  change();
  keepAll();
  select(selected);
  many.say(text, () => history.undo());
}

function keepAll() {
  pictures.forEach((picture) => keeper.keep(picture));
}

/** The person has looked at a doubtful one. */
function accept() {
  selected.isChecked = true;
  showChecked();
}

/** Show that the selected picture is no longer doubtful: a person has looked at it, or has touched it up. */
function showChecked() {
  draw();
  many.show();
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
  touchUps.show(selected, selected && optionsOf(selected).bg_color);
  if (selected === null) return;
  if (selected.size) settings.suggest(selected.size);
  const options = optionsOf(selected);
  view.update(selected);
  many.showCurrent(selected);
  keeper.keep(selected);
  thumbs.refresh();
  byId("download").disabled = selected.state !== "done";
  byId("download").textContent = downloadText(options);
  showApiCall(options);
  look();
}

/** Show the selected picture; of several results the one that is being changed. */
function look() {
  if (selected) stage.show(selected, settings.shown(optionsOf(selected))).catch(tell);
}

function downloadText({ outputs }) {
  if (!outputs) return gettext("Download");
  const count = outputs.length;
  return interpolate(ngettext("Download %(count)s result", "Download %(count)s results", count), { count: number(count) }, true);
}

function applySettings(options, changedField) {
  const isSingle = settings.fields.single.checked;
  history.note(takeState(), changedField);
  many.unsay();
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
  return { shared, picture: selected, own: new Map(pictures.map((picture) => [picture, picture.own])) };
}

function restoreState(state) {
  shared = state.shared;
  for (const picture of pictures) picture.own = state.own.get(picture) ?? null;
  keepAll();
  many.unsay();
  if (pictures.includes(state.picture)) select(state.picture);
  else if (selected) select(selected);
  offerAgain();
}

function noteKeeping(isOn) {
  studio.dataset.keeping = isOn ? "on" : "off";
  showKept();
}

/** Say whether this browser keeps the pictures, once that is known and there are some. */
function showKept() {
  const { keeping } = studio.dataset;
  if (keeping && pictures.length) many.showKept(keeping === "on");
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
    await saveOne(subjectOf(picture), naming.pattern, (text) => { byId("download").textContent = text; });
    picture.isSaved = true;
    keeper.keep(picture);
  });
}

function downloadAll(ready = pictures.filter(({ state }) => state === "done")) {
  return saving(byId("download-all"), async () => {
    await saveAll(ready.map(subjectOf), naming.pattern, (text) => { byId("download-all").textContent = text; });
    ready.forEach((picture) => { picture.isSaved = true; });
    keepAll();
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
  many.show();
  showKept();
  thumbs.refresh();
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

function prepareFormats() {
  if (canWriteWebp()) return;
  settings.lackWebp();
  shared = { ...settings.defaults };
}

acceptFiles({ input: byId("files"), dropZone: document.body, onFiles: take });
offerSamples(document.querySelectorAll("[data-sample]"), (file) => addFiles([file]), tell);
for (const id of ["add", "choose"]) {
  byId(id).disabled = false;
  byId(id).addEventListener("click", () => byId("files").click());
}
for (const id of ["batch", "batch-first"]) {
  byId(id).disabled = false;
  byId(id).addEventListener("click", () => openBatch());
}
if (location.hash === "#batch") openBatch();
byId("download").addEventListener("click", () => download(selected));
byId("download-all").addEventListener("click", () => downloadAll());
byId("copy-to-all").addEventListener("click", copyToAll);
byId("doubt-fine").addEventListener("click", accept);
byId("forget").addEventListener("click", forget);
byId("reset").addEventListener("click", () => settings.reset());
byId("again").addEventListener("click", runAgain);
byId("undo").addEventListener("click", () => history.undo());
byId("redo").addEventListener("click", () => history.redo());
byId("arrange").addEventListener("click", () => arrange(!stage.isArranging));
settings.canvas.root.addEventListener("toggle", () => arrange(settings.canvas.root.open));
document.addEventListener("keydown", undoByKey);
window.addEventListener("beforeunload", (event) => (pictures.some(isAtRisk) || batch.isSending) && event.preventDefault());
for (const form of document.querySelectorAll("form[action$='/logout/']")) {
  form.addEventListener("submit", () => { isLoggingOut = true; });
}
window.addEventListener("pagehide", () => isLoggingOut && forgetEverything());
prepareFormats();
restore();
