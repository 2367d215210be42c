// The editor: connects the queue, the stage and the settings.

import { Token } from "./api.js";
import { showBalance } from "./balance.js";
import { BatchDialog, isZip } from "./batch.js";
import { doubtText, isDoubtful } from "./doubt.js";
import { factsOf, saveAll, saveOne } from "./downloads.js";
import { canWriteWebp } from "./encoders.js";
import { acceptFiles, offerSamples } from "./files.js";
import { Keeper } from "./keeper.js";
import { Many, confirmed, isOpen } from "./many.js";
import { explain, number } from "./messages.js";
import { Naming } from "./naming.js";
import { Picture } from "./picture.js";
import { Queue } from "./queue.js";
import { QueueView, stateText } from "./queue-view.js";
import { Selection } from "./selection.js";
import { Settings } from "./settings.js";
import { Stage } from "./stage.js";
import { KEPT_DAYS, forgetEverything } from "./store.js";
import { Thumbs } from "./thumbs.js";

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
const queue = new Queue(removeFrom, { onChange: changed, onPause: announcePause });

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
const optionsOf = (picture) => picture.own ?? shared;
const isOfOtherModel = (picture) => picture.state === "done" && picture.model !== optionsOf(picture).model;

const needsLook = (picture) => isDoubtful(picture, Number(studio.dataset.doubtful));
const selection = new Selection(() => many.showSelection());
const view = new QueueView(byId("queue"), {
  onSelect: select,
  onOpen: open,
  onAction: act,
  findDoubt: (picture) => (needsLook(picture) ? doubtText(picture) : null),
  selection,
});
const many = new Many(studio, {
  pictures,
  view,
  selection,
  isDoubtful: needsLook,
  actions: {
    copy: copySettings,
    download: downloadAll,
    again: (some) => some.forEach((picture) => queue.add(picture)),
    batch: openBatch,
    remove: removeSome,
    stop: (some) => some.forEach((picture) => queue.cancel(picture)),
  },
});
const thumbs = new Thumbs({ optionsOf, isOpen: (picture) => picture === selected });
const naming = new Naming(() => exampleOf(selected));
const keeper = new Keeper({ account: studio.dataset.account, getShared: () => shared, onTrouble: notify, onChange: showKept });

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
  const sent = pictures.filter((picture) => isLeft(picture) && files.includes(picture.file));
  if (sent.length) await remove(sent);
  location.assign(`${studio.dataset.batchPages}/${id}`);
}

function addFiles(files) {
  const added = files.map((file) => new Picture(file));
  list(added);
  added.forEach((picture) => queue.add(picture));
}

function list(added) {
  pictures.push(...added);
  added.forEach((picture) => thumbs.add(picture, view.add(picture)));
  showState();
  if (selected === null) select(added[0]);
}

/** List the pictures that this browser has kept, and go on with those that were interrupted. */
async function restore() {
  const kept = await keeper.restore();
  if (kept.shared) shared = { ...shared, ...kept.shared };
  settings.write(shared, false);
  if (kept.pictures.length === 0) return;
  list(kept.pictures);
  kept.pictures.filter(isOpen).forEach((picture) => queue.add(picture));
  const text = ngettext("%(count)s picture is back.", "%(count)s pictures are back.", kept.pictures.length);
  announce(interpolate(text, { count: number(kept.pictures.length) }, true));
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

function runAgain() {
  pictures.filter(isOfOtherModel).forEach((picture) => queue.add(picture));
  // The button is gone.
  byId("settings").elements.model.focus();
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

/** Take pictures out of the list, and show the one after them. */
function remove(some) {
  const at = pictures.indexOf(some[0]);
  for (const picture of some) {
    if (isOpen(picture)) queue.cancel(picture);
    pictures.splice(pictures.indexOf(picture), 1);
    selection.remove(picture);
    thumbs.remove(picture, view.rows.get(picture));
    view.remove(picture);
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

/** Remove all pictures, here and from the browser. */
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
    for (const picture of some) picture.own = { ...options };
  });
}

/** Make the settings of the picture that is shown those of all, and of the ones to come. */
function copyToAll() {
  changeMany(gettext("All pictures have these settings now."), () => {
    shared = { ...optionsOf(selected) };
    for (const picture of pictures) picture.own = null;
  });
}

/** Change the settings of many, with a way back. It costs nothing: the mattes stay. */
function changeMany(text, change) {
  const before = { shared, own: new Map(pictures.map((picture) => [picture, picture.own])) };
  change();
  settingsChanged();
  many.say(text, () => {
    shared = before.shared;
    for (const picture of pictures) if (before.own.has(picture)) picture.own = before.own.get(picture);
    settingsChanged();
  });
}

function settingsChanged() {
  pictures.forEach((picture) => keeper.keep(picture));
  select(selected);
  showState();
}

function accept() {
  selected.isChecked = true;
  changed(selected);
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
  if (selected === null) return;
  if (selected.size) settings.suggest(selected.size);
  byId("download").disabled = selected.state !== "done";
  byId("copy-to-all").hidden = pictures.length < 2 || pictures.every((picture) => picture.own === null);
  byId("doubt-note").hidden = !needsLook(selected);
  byId("doubt-why").textContent = doubtText(selected);
  keeper.keep(selected);
  thumbs.refresh();
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
    await saveOne(subjectOf(picture), naming.pattern);
    picture.isSaved = true;
    keeper.keep(picture);
  });
}

function downloadAll(ready) {
  return saving(byId("download-all"), async () => {
    await saveAll(ready.map(subjectOf), naming.pattern, (text) => { byId("download-all").textContent = text; });
    for (const picture of ready) {
      picture.isSaved = true;
      keeper.keep(picture);
    }
  });
}

function showState() {
  const ready = pictures.filter(({ state }) => state === "done").length;
  byId("welcome").hidden = pictures.length > 0;
  byId("workbench").hidden = pictures.length === 0;
  studio.dataset.state = pictures.length ? "filled" : "empty";
  many.show();
  thumbs.refresh();
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

/** Say where the pictures are kept, or that they are not. */
function showKept() {
  byId("kept-note").textContent = keeper.isOn
    ? interpolate(gettext("Your pictures stay in this browser only, for %(days)s days or until you log out: a reload loses none."), { days: number(KEPT_DAYS) }, true)
    : gettext("This browser does not keep your pictures: download them before you leave this page.");
}

const counted = (text, count) => interpolate(text, { count: number(count) }, true);
const subjectOf = (picture) => ({ picture, options: optionsOf(picture), number: pictures.indexOf(picture) + 1 });

/** What a picture's download is named after; before it is done the size is the original's. */
function exampleOf(picture) {
  if (picture.state === "done") return factsOf(subjectOf(picture));
  return { name: picture.name, extension: optionsOf(picture).format, number: subjectOf(picture).number, ...picture.size };
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
  byId(id).addEventListener("click", () => openBatch());
}
if (location.hash === "#batch") openBatch();
byId("download").addEventListener("click", () => download(selected));
byId("download-all").addEventListener("click", () => downloadAll(pictures.filter(({ state }) => state === "done")));
byId("copy-to-all").addEventListener("click", copyToAll);
byId("doubt-fine").addEventListener("click", accept);
byId("forget").addEventListener("click", forget);
for (const form of document.querySelectorAll("form[action$='/logout/']")) {
  form.addEventListener("submit", () => { isLoggingOut = true; });
}
window.addEventListener("pagehide", () => isLoggingOut && forgetEverything());
byId("reset").addEventListener("click", () => settings.reset());
byId("again")?.addEventListener("click", runAgain);
window.addEventListener("beforeunload", (event) => (pictures.some(isAtRisk) || batch.isSending) && event.preventDefault());
settings.write(shared, false);
prepareFormats().then(restore);
