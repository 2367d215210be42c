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
  /** `onSelect(picture)` and `onAction(action, picture)` are called when a row or button is pressed. */
  constructor(list, { onSelect, onAction }) {
    Object.assign(this, { list, onSelect, onAction, rows: new Map() });
  }

  add(picture) {
    const row = document.createElement("li");
    row.append(this.picker(picture), element("progress", "row-progress"), element("div", "row-buttons"));
    row.querySelector("progress").max = 1;
    row.querySelector("progress").setAttribute("aria-label", picture.name);
    this.rows.set(picture, row);
    this.list.append(row);
    this.update(picture);
  }

  picker(picture) {
    const button = element("button", "pick");
    const frame = element("span", "thumb");
    const words = element("span", "words");
    const name = element("span", "name");
    name.textContent = picture.name;
    name.dir = "auto";
    button.type = "button";
    frame.append(picture.thumb);
    words.append(name, element("span", "row-state"));
    button.append(frame, words);
    button.addEventListener("click", () => this.onSelect(picture));
    return button;
  }

  update(picture) {
    const row = this.rows.get(picture);
    if (!row) return;
    row.dataset.state = picture.state;
    row.querySelector(".row-state").textContent = stateText(picture);
    const progress = row.querySelector("progress");
    progress.hidden = picture.state !== "working" || picture.progress >= 1;
    progress.value = picture.progress;
    this.updateActions(row, picture);
  }

  updateActions(row, picture) {
    const place = row.querySelector(".row-buttons");
    const actions = actionsOf(picture);
    if (place.dataset.actions === actions.join()) return;
    const hadFocus = place.contains(document.activeElement);
    place.dataset.actions = actions.join();
    place.replaceChildren(...actions.map((action) => this.actionButton(action, picture)));
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

  select(selected) {
    for (const [picture, row] of this.rows) {
      row.querySelector(".pick").setAttribute("aria-current", picture === selected);
    }
    this.rows.get(selected)?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  remove(picture) {
    this.rows.get(picture).remove();
    this.rows.delete(picture);
  }

  /** Move keyboard focus to a picture's row. */
  focus(picture) {
    this.rows.get(picture)?.querySelector(".pick").focus();
  }
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
