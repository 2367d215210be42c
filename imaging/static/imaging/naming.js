// The pattern of the names of downloads: its dialog, and what this browser remembers of it.

import { recall, remember } from "./many.js";
import { DEFAULT_PATTERN, downloadNames, patternProblem } from "./names.js";

const PATTERN = "editor-names";
const byId = (id) => document.getElementById(id);

export class Naming {
  /** `findExample()` returns (or promises) a file as `downloadNames` takes it, for the example. */
  constructor(findExample) {
    this.findExample = findExample;
    const remembered = recall(PATTERN) ?? DEFAULT_PATTERN;
    this.pattern = patternProblem(remembered) ? DEFAULT_PATTERN : remembered;
    this.dialog = byId("names-dialog");
    this.field = byId("names-pattern");
    byId("names").addEventListener("click", () => this.open());
    this.field.addEventListener("input", () => this.check());
    byId("names-form").addEventListener("submit", (event) => this.submit(event));
    byId("names-cancel").addEventListener("click", () => this.dialog.close());
    byId("names-default").addEventListener("click", () => this.write(DEFAULT_PATTERN));
    for (const button of this.dialog.querySelectorAll("[data-token]")) {
      button.addEventListener("click", () => this.insert(button.dataset.token));
    }
    this.show();
  }

  open() {
    this.write(this.pattern);
    this.dialog.showModal();
    this.field.select();
  }

  write(pattern) {
    this.field.value = pattern;
    this.check();
  }

  insert(token) {
    this.field.setRangeText(token, this.field.selectionStart, this.field.selectionEnd, "end");
    this.field.focus();
    this.check();
  }

  /** Show the example, or what is wrong. Returns whether the pattern can be used. */
  check() {
    const problem = patternProblem(this.field.value);
    byId("names-problem").textContent = problem ?? "";
    byId("names-problem").hidden = problem === null;
    this.field.setAttribute("aria-invalid", problem !== null);
    byId("names-save").disabled = problem !== null;
    if (problem) byId("names-example").textContent = "";
    else this.showExample(this.field.value);
    return problem === null;
  }

  async showExample(pattern) {
    const [name] = downloadNames([await this.findExample()], pattern);
    // The person may have typed on meanwhile.
    if (this.field.value === pattern) byId("names-example").textContent = name;
  }

  submit(event) {
    event.preventDefault();
    if (!this.check()) return;
    this.pattern = this.field.value.trim();
    remember(PATTERN, this.pattern);
    this.show();
    this.dialog.close();
  }

  show() {
    byId("names-now").textContent = this.pattern;
  }
}

