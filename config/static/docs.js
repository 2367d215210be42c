// The documentation: tabs of samples, copying, and the reader's own key in the samples.
import { findKept, forget, forgetAtLogout, keep, prefixOf } from "./remembered-key.js";

const LANGUAGE = "docs-language";
const PLACEHOLDER = "YOUR_API_KEY";

/** Show one language in every set of samples that has it. */
function choose(language) {
  for (const samples of document.querySelectorAll("[data-samples]")) {
    const tabs = [...samples.querySelectorAll("[role=tab]")];
    const chosen = tabs.find((tab) => tab.dataset.language === language) ?? tabs[0];
    for (const tab of tabs) {
      tab.setAttribute("aria-selected", tab === chosen);
      tab.tabIndex = tab === chosen ? 0 : -1;
    }
    for (const panel of samples.querySelectorAll("[role=tabpanel]")) {
      panel.hidden = panel.dataset.language !== chosen.dataset.language;
    }
    samples.dataset.ready = "";
  }
}

/** Select a language for the reader: the page does not jump, and the next page shows the same language. */
function pick(tab) {
  const before = tab.getBoundingClientRect().top;
  choose(tab.dataset.language);
  scrollBy(0, tab.getBoundingClientRect().top - before);
  localStorage.setItem(LANGUAGE, tab.dataset.language);
  tab.focus({ preventScroll: true });
}

/** The arrow keys follow the visual order of the tabs, in either text direction. */
function move(event) {
  const tabs = [...event.currentTarget.querySelectorAll("[role=tab]")];
  const forward = document.dir === "rtl" ? -1 : 1;
  const steps = { ArrowRight: forward, ArrowLeft: -forward };
  const at = tabs.indexOf(event.target);
  const to = { Home: 0, End: tabs.length - 1 }[event.key] ?? (steps[event.key] && at + steps[event.key]);
  if (to === undefined) return;
  event.preventDefault();
  pick(tabs.at(to % tabs.length));
}

function startTabs() {
  for (const list of document.querySelectorAll("[data-samples] [role=tablist]")) {
    list.addEventListener("keydown", move);
    list.addEventListener("click", ({ target }) => { if (target.role === "tab") pick(target); });
  }
  choose(localStorage.getItem(LANGUAGE));
}

function startCopying() {
  // Only secure origins may write to the clipboard; elsewhere the reader can select the text.
  if (!navigator.clipboard) return;
  for (const button of document.querySelectorAll("[data-copy-code]")) {
    const label = button.textContent;
    button.hidden = false;
    button.setAttribute("aria-live", "polite");
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(button.parentElement.querySelector("code").textContent);
        button.textContent = gettext("Copied");
      } catch {
        button.textContent = gettext("Select and copy");
      }
      setTimeout(() => { button.textContent = label; }, 2000);
    });
  }
}

function startKey() {
  const places = document.querySelectorAll("[data-your-key]");
  if (!places.length) return;
  for (const place of places) {
    place.querySelector("[data-paste-key]")?.addEventListener("submit", paste);
    place.querySelector("[data-forget-key]")?.addEventListener("click", () => { forget(); showKey(); });
  }
  showKey();
}

/** Fill the kept key, or the placeholder, into all samples. */
function showKey() {
  const place = document.querySelector("[data-your-key]");
  const text = findKept(place.dataset.account, place.dataset.prefixes.split(" "));
  for (const word of document.querySelectorAll("[data-key]")) word.textContent = text ?? PLACEHOLDER;
  const kept = place.querySelector("[data-key-kept]");
  if (!kept) return;
  kept.hidden = !text;
  kept.querySelector("[data-kept-prefix]").textContent = text ? `${prefixOf(text)}…` : "";
  place.querySelector("[data-key-missing]").hidden = Boolean(text);
  place.querySelector("[data-paste-key]").hidden = Boolean(text);
}

function paste(event) {
  event.preventDefault();
  const place = event.target.closest("[data-your-key]");
  const input = event.target.querySelector("input");
  const prefix = prefixOf(input.value.trim());
  const mine = prefix && place.dataset.prefixes.split(" ").includes(prefix);
  if (mine) keep(input.value.trim(), place.dataset.account);
  input.value = "";
  input.setAttribute("aria-invalid", !mine);
  place.querySelector("[data-key-says]").textContent = mine
    ? gettext("Filled in.")
    : prefix ? gettext("This is not one of your live keys.") : gettext("This is not a key: copy all of it.");
  showKey();
}

startTabs();
startCopying();
startKey();
forgetAtLogout();
