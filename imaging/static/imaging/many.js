// What is done with several pictures: selecting and filtering them, the grid, the progress of all, actions on the selection.

import { PictureError } from "./canvas.js";
import { number } from "./messages.js";
import { KEPT_DAYS } from "./store.js";

// Under this name the browser remembers the view that a person chose.
const VIEW = "editor-view";
const byId = (id) => document.getElementById(id);

export const isOpen = ({ state }) => ["new", "waiting", "working"].includes(state);
const isDone = ({ state }) => state === "done";
const canRetry = ({ state, error }) => ["failed", "cancelled"].includes(state) && !(error instanceof PictureError);

/** A text with a number, as the page's language writes it: `ngettext` with `%(count)s`. */
export const counted = (text, count) => interpolate(text, { count: number(count) }, true);

export class Many {
  /**
   * `pictures` is the editor's list, `studio` its root. `actions` has what is done with a list of pictures: `copy`, `download`,
   * `again`, `batch`, `remove` and `stop`. `findDoubt(picture)` returns why a person should look at one, or null.
   */
  constructor(studio, { pictures, view, selection, actions, findDoubt }) {
    Object.assign(this, { studio, pictures, view, selection, actions, findDoubt, undo: null });
    this.isDoubtful = (picture) => findDoubt(picture) !== null;
    this.chosenView = recall(VIEW) === "grid" ? "grid" : "rail";
    byId("many-undo").addEventListener("click", () => this.takeBack());
    byId("many-filter").addEventListener("change", () => this.show());
    byId("many-all").addEventListener("change", (event) => selection.set(event.target.checked ? view.visible : []));
    byId("many-doubtful").addEventListener("click", () => selection.set(pictures.filter(this.isDoubtful)));
    byId("many-stop").addEventListener("click", () => actions.stop(pictures.filter(isOpen)));
    byId("many-retry").addEventListener("click", () => actions.again(pictures.filter(canRetry)));
    for (const name of ["rail", "grid"]) byId(`view-${name}`).addEventListener("click", () => this.chooseView(name));
    for (const button of byId("many-bar").querySelectorAll("[data-many]")) {
      button.addEventListener("click", () => this.act(button.dataset.many));
    }
  }

  /** The selected pictures that an action is for. */
  subjectsOf(action) {
    const chosen = this.selection.of(this.pictures);
    const fits = { download: isDone, again: canRetry, batch: (picture) => !isDone(picture) };
    return fits[action] ? chosen.filter(fits[action]) : chosen;
  }

  act(action) {
    if (action === "clear") this.selection.set([]);
    else this.actions[action](this.subjectsOf(action));
    // The bar, and the button with it, may be gone.
    if (byId("many-bar").hidden) this.view.focus(this.view.active);
  }

  /** What a person chooses is remembered; opening a picture of the grid is no choice. */
  chooseView(name) {
    remember(VIEW, name);
    this.setView(name);
  }

  setView(name) {
    this.chosenView = name;
    this.show();
    this.view.focus(this.view.active);
  }

  /** Say what was done to many pictures, with a button that calls `undo`. */
  say(text, undo) {
    this.undo = undo;
    byId("many-said").textContent = text;
    byId("many-said-line").hidden = false;
  }

  /** What was said is no longer the latest change. */
  unsay() {
    byId("many-said").textContent = "";
    byId("many-said-line").hidden = true;
  }

  takeBack() {
    this.undo();
    this.view.focus(this.view.active);
  }

  /** Show what concerns the picture that is shown large. */
  showCurrent(picture) {
    const doubt = this.findDoubt(picture);
    byId("doubt-note").hidden = doubt === null;
    byId("doubt-why").textContent = doubt ?? "";
    byId("copy-to-all").hidden = this.pictures.length < 2 || this.pictures.every(({ own }) => own === null);
  }

  /** Say where the pictures are kept, or that they are not. */
  showKept(isKept) {
    byId("kept-note").textContent = isKept
      ? interpolate(gettext("Your pictures stay in this browser only, for %(days)s days or until you log out: a reload loses none."), { days: number(KEPT_DAYS) }, true)
      : gettext("This browser does not keep your pictures: download them before you leave this page.");
  }

  /** Show everything as it is now. */
  show() {
    const { length } = this.pictures;
    byId("many-head").hidden = length < 2;
    this.showView(length < 2 ? "rail" : this.chosenView);
    this.showFilter();
    this.showProgress();
    this.showSelection();
  }

  showView(name) {
    this.studio.dataset.view = name;
    this.view.list.classList.toggle("grid", name === "grid");
    for (const one of ["rail", "grid"]) byId(`view-${one}`).setAttribute("aria-pressed", one === name);
  }

  showFilter() {
    const filter = byId("many-filter");
    const fits = { all: () => true, doubtful: this.isDoubtful, failed: ({ state }) => ["failed", "cancelled"].includes(state) };
    const labels = {
      all: (count) => counted(gettext("All (%(count)s)"), count),
      doubtful: (count) => counted(gettext("Doubtful only (%(count)s)"), count),
      failed: (count) => counted(gettext("Failed or cancelled (%(count)s)"), count),
    };
    if (this.pictures.length < 2) filter.value = "all";
    for (const option of filter.options) {
      const count = this.pictures.filter(fits[option.value]).length;
      option.textContent = labels[option.value](count);
      option.disabled = count === 0 && option.value !== filter.value;
    }
    this.view.filter(fits[filter.value]);
    byId("many-none").hidden = this.view.visible.length > 0;
  }

  showProgress() {
    const { pictures } = this;
    const [ended, open, broken] = [pictures.filter(isDone), pictures.filter(isOpen), pictures.filter(canRetry)].map(({ length }) => length);
    const text = gettext("%(done)s of %(count)s done");
    byId("many-done").textContent = interpolate(text, { done: number(ended), count: number(pictures.length) }, true);
    Object.assign(byId("many-progress"), { max: Math.max(1, pictures.length), value: pictures.length - open, hidden: open === 0 });
    byId("many-stop").hidden = open === 0;
    byId("many-retry").hidden = broken === 0;
    byId("many-retry").textContent = counted(ngettext("Try %(count)s again", "Try %(count)s again", broken), broken);
  }

  showSelection() {
    const { size } = this.selection;
    const all = byId("many-all");
    all.checked = size > 0 && this.view.visible.every((picture) => this.selection.has(picture));
    all.indeterminate = size > 0 && !all.checked;
    byId("many-doubtful").hidden = !this.pictures.some(this.isDoubtful);
    byId("many-bar").hidden = size === 0;
    byId("many-selected").textContent = counted(ngettext("%(count)s selected", "%(count)s selected", size), size);
    for (const button of byId("many-bar").querySelectorAll("[data-many]")) {
      button.hidden = button.dataset.many !== "clear" && this.subjectsOf(button.dataset.many).length === 0;
    }
    this.view.updateSelection();
  }
}

/** Ask in a dialog before something is lost. Returns whether the person agreed. */
export function confirmed({ title, text, yes, no = gettext("Cancel") }) {
  const dialog = byId("confirm");
  byId("confirm-title").textContent = title;
  byId("confirm-text").textContent = text;
  byId("confirm-yes").textContent = yes;
  byId("confirm-no").textContent = no;
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((done) => dialog.addEventListener("close", () => done(dialog.returnValue === "yes"), { once: true }));
}

/** What this browser remembers under a name; null where it remembers nothing. */
export function recall(name) {
  try {
    return localStorage.getItem(name);
  } catch {
    // Storage is switched off.
    return null;
  }
}

export function remember(name, text) {
  try {
    localStorage.setItem(name, text);
  } catch {
    // It is a preference: the next visit begins without it.
  }
}
