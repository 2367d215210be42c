// Keeps the live part of a page current: fetches it repeatedly and replaces what has changed.

// The page sets the interval; after failures it grows, up to this.
const MOST_SECONDS = 60;
// Screen readers announce progress in steps of this many percent.
const STEP = 25;

const live = document.querySelector("[data-live]");
const said = document.querySelector("[data-said]");
let told = null;

function address() {
  const url = new URL(location.href);
  url.searchParams.set("part", "live");
  return url;
}

/** The current live part of the page; null if it could not be fetched. */
async function fetchPart() {
  try {
    const response = await fetch(address(), { redirect: "error" });
    return response.ok ? new DOMParser().parseFromString(await response.text(), "text/html") : null;
  } catch {
    return null;
  }
}

/** Replace the parts that have changed; if the list of parts has changed, replace everything. */
function update(fresh) {
  const ids = (root) => [...root.querySelectorAll("[data-part]")].map(({ id }) => id).join();
  if (ids(live) !== ids(fresh)) return live.replaceChildren(...fresh.body.childNodes);
  for (const part of fresh.querySelectorAll("[data-part]")) replace(document.getElementById(part.id), part);
}

function replace(old, part) {
  if (withoutTokens(old) === withoutTokens(part)) return;
  const focused = old.contains(document.activeElement) ? document.activeElement.id : "";
  old.replaceWith(part);
  // Keyboard focus must survive an update.
  if (focused) document.getElementById(focused)?.focus();
}

// The CSRF token is masked differently in every response, but means the same.
function withoutTokens(element) {
  const copy = element.cloneNode(true);
  copy.querySelectorAll("[name=csrfmiddlewaretoken]").forEach((field) => field.remove());
  // The reader may have opened them.
  copy.querySelectorAll("details").forEach((details) => details.removeAttribute("open"));
  return copy.outerHTML;
}

const facts = () => live.querySelector("[data-state]").dataset;

/** Announce progress to screen readers in steps, and the end. */
function announce() {
  const { percent } = facts();
  const step = Math.floor(percent / STEP) * STEP;
  if (percent === undefined || step === told) return;
  const isFirst = told === null;
  told = step;
  if (isFirst) return;
  const number = new Intl.NumberFormat(document.documentElement.lang, { style: "percent" }).format(step / 100);
  said.textContent = step < 100
    ? interpolate(gettext("%(percent)s done"), { percent: number }, true)
    : gettext("The batch has ended.");
}

const pause = (seconds) => new Promise((resume) => { setTimeout(resume, seconds * 1000); });

async function follow() {
  let failures = 0;
  announce();
  while (facts().state === "open") {
    await pause(Math.min(facts().seconds * 2 ** failures, MOST_SECONDS));
    if (document.hidden) continue;
    const fresh = await fetchPart();
    failures = fresh ? 0 : failures + 1;
    if (!fresh) continue;
    update(fresh);
    announce();
  }
}

follow();
