// The list of pictures: one row each, with its state and the available actions.

import { PictureError } from "./canvas.js";

const ICONS = {
  cancel: "M6 6l12 12M18 6L6 18",
  remove: "M6 6l12 12M18 6L6 18",
  retry: "M20 11a8 8 0 1 0-2.3 6.3M20 5v6h-6",
  download: "M12 4v11m-5-5 5 5 5-5M5 20h14",
};

/** The actions available for a picture in each state. */
function actionsOf(picture) {
  if (["new", "waiting", "working"].includes(picture.state)) return ["cancel"];
  if (picture.state === "done") return ["download", "remove"];
  return picture.error instanceof PictureError ? ["remove"] : ["retry", "remove"];
}

export function stateText(picture) {
  if (picture.state === "working" && picture.progress < 1) {
    const percent = new Intl.NumberFormat(document.documentElement.lang, { style: "percent" }).format(picture.progress);
    return interpolate(gettext("Uploading: %(percent)s"), { percent }, true);
  }
  return {
    new: gettext("Reading"),
    waiting: gettext("Waiting"),
    working: gettext("Removing the background"),
    done: gettext("Done"),
    failed: gettext("Failed"),
    cancelled: gettext("Cancelled"),
  }[picture.state];
}

function actionLabel(action, name) {
  const texts = {
    cancel: gettext("Cancel %(name)s"),
    remove: gettext("Remove %(name)s"),
    retry: gettext("Try %(name)s again"),
    download: gettext("Download %(name)s"),
  };
  return interpolate(texts[action], { name }, true);
}

export class QueueView {
  /**
   * `onSelect(picture)`, `onOpen(picture)` and `onAction(action, picture)` are called when a row or button is used, and
   * `findDoubt(picture)` returns why a person should look at a result, or null. `selection` has the selected pictures.
   */
  constructor(list, { onSelect, onOpen, onAction, findDoubt, selection }) {
    Object.assign(this, { list, onSelect, onOpen, onAction, findDoubt, selection, rows: new Map(), active: null });
    list.addEventListener("keydown", (event) => this.keyPressed(event));
    list.addEventListener("focusin", (event) => this.activate(this.pictureAt(event.target)));
  }

  /** The pictures that are listed: without those that a filter hides. */
  get visible() {
    return [...this.rows].filter(([, row]) => !row.hidden).map(([picture]) => picture);
  }

  get isGrid() {
    return this.list.classList.contains("grid");
  }

  add(picture) {
    const row = document.createElement("li");
    row.append(this.marker(picture), this.picker(picture), element("progress", "row-progress"), element("div", "row-buttons"));
    row.querySelector("progress").max = 1;
    row.querySelector("progress").setAttribute("aria-label", picture.name);
    this.rows.set(picture, row);
    this.list.append(row);
    this.update(picture);
    this.active ??= picture;
    setReachable(row, picture === this.active);
    return row;
  }

  marker(picture) {
    const label = element("label", "marker");
    const box = Object.assign(document.createElement("input"), { type: "checkbox" });
    box.setAttribute("aria-label", interpolate(gettext("Select %(name)s"), { name: picture.name }, true));
    box.addEventListener("click", (event) => this.mark(picture, event.shiftKey));
    label.append(box);
    return label;
  }

  mark(picture, isRange) {
    if (isRange) this.selection.extend(picture, this.visible);
    else this.selection.toggle(picture);
  }

  picker(picture) {
    const button = element("button", "pick");
    const frame = element("span", "thumb");
    const words = element("span", "words");
    const name = element("span", "name");
    name.textContent = picture.name;
    name.title = picture.name;
    name.dir = "auto";
    button.type = "button";
    frame.append(picture.thumb);
    words.append(name, element("span", "row-state"), element("span", "tag warn doubt"));
    words.querySelector(".doubt").textContent = gettext("Look at this one");
    button.append(frame, words);
    button.addEventListener("click", (event) => this.picked(picture, event));
    button.addEventListener("dblclick", () => this.onOpen(picture));
    return button;
  }

  /** In a grid a finger or the Enter key opens a picture; a mouse does so with two clicks. */
  picked(picture, event) {
    if (event.shiftKey || event.ctrlKey || event.metaKey) return this.mark(picture, event.shiftKey);
    this.onSelect(picture);
    const isKey = event.detail === 0;
    if (this.isGrid && (isKey || ["touch", "pen"].includes(event.pointerType))) this.onOpen(picture);
  }

  update(picture) {
    const row = this.rows.get(picture);
    if (!row) return;
    row.dataset.state = picture.state;
    row.querySelector(".row-state").textContent = stateText(picture);
    const progress = row.querySelector("progress");
    progress.hidden = picture.state !== "working" || picture.progress >= 1;
    progress.value = picture.progress;
    const doubt = this.findDoubt(picture);
    row.querySelector(".doubt").hidden = doubt === null;
    row.querySelector(".doubt").title = doubt ?? "";
    this.updateActions(row, picture);
  }

  updateActions(row, picture) {
    const place = row.querySelector(".row-buttons");
    const actions = actionsOf(picture);
    if (place.dataset.actions === actions.join()) return;
    const hadFocus = place.contains(document.activeElement);
    place.dataset.actions = actions.join();
    place.replaceChildren(...actions.map((action) => this.actionButton(action, picture)));
    if (picture !== this.active) setReachable(row, false);
    // Keyboard focus in the list must survive a change of state.
    if (hadFocus) place.firstElementChild.focus();
  }

  actionButton(action, picture) {
    const button = element("button", "icon");
    button.type = "button";
    button.setAttribute("aria-label", actionLabel(action, picture.name));
    button.title = button.getAttribute("aria-label");
    button.append(icon(ICONS[action]));
    button.addEventListener("click", () => this.onAction(action, picture));
    return button;
  }

  /** Show which pictures are selected. */
  updateSelection() {
    for (const [picture, row] of this.rows) {
      row.querySelector(".marker > input").checked = this.selection.has(picture);
      row.classList.toggle("selected", this.selection.has(picture));
    }
  }

  /** List only the pictures for which `isShown(picture)`. */
  filter(isShown) {
    for (const [picture, row] of this.rows) row.hidden = !isShown(picture);
    if (!this.visible.includes(this.active)) this.activate(this.visible[0] ?? null);
  }

  /** Mark the picture that is shown large. */
  select(selected) {
    for (const [picture, row] of this.rows) {
      row.querySelector(".pick").setAttribute("aria-current", picture === selected);
    }
    this.activate(selected);
    this.rows.get(selected)?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  /** The Tab key stops at one picture of the list; arrow keys lead to the others. */
  activate(picture) {
    if (picture === this.active) return;
    if (this.rows.has(this.active)) setReachable(this.rows.get(this.active), false);
    if (this.rows.has(picture)) setReachable(this.rows.get(picture), true);
    this.active = picture;
  }

  pictureAt(target) {
    return [...this.rows].find(([, row]) => row.contains(target))?.[0] ?? null;
  }

  keyPressed(event) {
    const picture = this.pictureAt(event.target);
    const isCommand = event.ctrlKey || event.metaKey;
    if (isCommand && event.key.toLowerCase() === "a") this.selection.set(this.visible);
    else if (event.key === "Escape" && this.selection.size) this.selection.set([]);
    else if (!this.move(picture, event)) return;
    event.preventDefault();
  }

  /** Go to the picture that an arrow key leads to; with Shift, select on the way. Returns whether it was such a key. */
  move(picture, { key, shiftKey }) {
    const pictures = this.visible;
    const step = this.stepOf(key, pictures);
    if (step === null || picture === null) return false;
    const next = pictures[Math.min(Math.max(0, pictures.indexOf(picture) + step), pictures.length - 1)];
    if (shiftKey) {
      this.selection.anchor ??= picture;
      this.selection.extend(next, pictures);
    }
    this.focus(next);
    return true;
  }

  stepOf(key, pictures) {
    const forward = document.documentElement.dir === "rtl" ? -1 : 1;
    const line = this.isGrid ? this.columns(pictures) : 1;
    const steps = { ArrowRight: forward, ArrowLeft: -forward, ArrowDown: line, ArrowUp: -line, Home: -pictures.length, End: pictures.length };
    return steps[key] ?? null;
  }

  columns(pictures) {
    const tops = pictures.map((picture) => this.rows.get(picture).offsetTop);
    const second = tops.findIndex((top) => top !== tops[0]);
    return second < 0 ? tops.length : second;
  }

  remove(picture) {
    this.rows.get(picture).remove();
    this.rows.delete(picture);
    if (picture === this.active) this.activate(this.visible[0] ?? null);
  }

  /** Move keyboard focus to a picture's row. */
  focus(picture) {
    this.rows.get(picture)?.querySelector(".pick").focus();
  }
}

function setReachable(row, isReachable) {
  for (const control of row.querySelectorAll("button, input")) control.tabIndex = isReachable ? 0 : -1;
}

function element(tag, className) {
  return Object.assign(document.createElement(tag), { className });
}

function icon(path) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const line = document.createElementNS(svg.namespaceURI, "path");
  line.setAttribute("d", path);
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  svg.append(line);
  return svg;
}
