// The front page's stage: samples with what the service made of them, and one image of the visitor's at a time, as an
// anonymous caller.

import { upload } from "./api.js";
import { decode } from "./canvas.js";
import "./compare.js";
import { offerCopy } from "./copy.js";
import { acceptFiles, offerSamples } from "./files.js";
import { sendable } from "./formats.js";
import { explanation } from "./messages.js";
import { downloadNames } from "./names.js";

const byId = (id) => document.getElementById(id);
const demo = byId("demo");
const stage = byId("stage");
const compare = stage.querySelector("image-compare");
const picks = [...stage.querySelectorAll("[data-show]")];
let current = null;
let shown = [];

acceptFiles({ input: byId("file"), dropZone: document.body, onFiles: ([file]) => start(file) });
offerSamples([byId("try")], start, fail);
for (const button of picks) button.addEventListener("click", () => showSample(button));
for (const control of [byId("try"), ...picks]) control.disabled = false;
byId("choose").disabled = false;
byId("choose").addEventListener("click", () => byId("file").click());
byId("cancel").addEventListener("click", () => current?.abort());
offerCopy(byId("copy"), byId("curl"));

/** Put a sample and its cutout on the stage; cancels a call that is still running. */
function showSample(button) {
  current?.abort();
  current = null;
  const pair = button.parentElement.querySelector("template").content.cloneNode(true);
  compare.show(pair.querySelector("[data-before]"), pair.querySelector("[data-after]"));
  compare.value = 50;
  setState("sample");
  picks.forEach((pick) => pick.setAttribute("aria-pressed", String(pick === button)));
  byId("try").dataset.sample = button.dataset.show;
  byId("status").textContent = gettext("Drag the line to compare.");
  forgetShown();
}

/** Cut out a file's subject and show it; cancels a call that is still running. */
async function start(file) {
  current?.abort();
  const controller = new AbortController();
  current = controller;
  try {
    await cutOut(file, controller.signal);
  } catch (error) {
    if (controller === current) fail(controller.signal.aborted ? new Error(gettext("Cancelled. Choose another picture.")) : error);
  }
}

async function cutOut(chosen, signal) {
  setState("working");
  const { file, note } = await sendable(chosen);
  const size = await sizeOf(file);
  if (signal.aborted) return;
  const before = await picture(file, size, gettext("The original picture"));
  compare.show(before, before.cloneNode());
  stage.scrollIntoView({ block: "nearest" });
  onProgress(0);
  const { blob: cutout } = await upload(demo.dataset.rmbg, [["image", file], ["format", "webp"]], { signal, onProgress });
  const after = await picture(cutout, size, gettext("The picture without its background"));
  finish(file, cutout, before, after);
  if (note) byId("status").append(" ", note);
}

async function sizeOf(file) {
  const bitmap = await decode(file);
  const { width, height } = bitmap;
  bitmap.close();
  return { width, height };
}

async function picture(blob, { width, height }, alt) {
  const image = Object.assign(new Image(), { src: URL.createObjectURL(blob), alt, width, height });
  shown.push(image.src);
  await image.decode();
  return image;
}

function finish(file, cutout, before, after) {
  compare.show(before, after);
  compare.value = 0;
  setState("done");
  byId("status").textContent = gettext("Done. Drag the line to compare.");
  byId("download").href = after.src;
  byId("download").download = downloadNames([{ name: file.name, extension: "webp" }])[0];
}

function onProgress(part) {
  const isSent = part >= 1;
  byId("status").textContent = isSent ? gettext("Removing the background …") : gettext("Uploading …");
  byId("progress").hidden = isSent;
  byId("progress").value = part * 100;
}

function fail(error) {
  setState("failed");
  byId("status").replaceChildren(...explanation(error).childNodes);
}

function setState(state) {
  stage.dataset.state = state;
  byId("try").hidden = state !== "sample";
  byId("cancel").hidden = state !== "working";
  byId("download").hidden = byId("more").hidden = state !== "done";
  byId("progress").hidden = true;
  if (state === "working") {
    byId("status").textContent = gettext("Reading the picture …");
    picks.forEach((pick) => pick.setAttribute("aria-pressed", "false"));
    forgetShown();
  }
}

function forgetShown() {
  shown.forEach((url) => URL.revokeObjectURL(url));
  shown = [];
}
