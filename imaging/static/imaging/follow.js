// Follows what moves on a page: asks for that part again and again, and puts in what has changed.

// The page says how often to ask; after failures it is less often, up to this.
const MOST_SECONDS = 60;
// Percent after which a listener is told how far it is.
const STEP = 25;

const live = document.querySelector("[data-live]");
const said = document.querySelector("[data-said]");
let told = null;

function address() {
  const url = new URL(location.href);
  url.searchParams.set("part", "live");
  return url;
}

/** The page's moving part as it is now; null where it could not be had. */
async function fetchPart() {
  try {
    const response = await fetch(address(), { redirect: "error" });
    return response.ok ? new DOMParser().parseFromString(await response.text(), "text/html") : null;
  } catch {
    return null;
  }
}

/** Put in what is new; a list that has become longer or shorter is put in as a whole. */
function update(fresh) {
  const ids = (root) => [...root.querySelectorAll("[data-part]")].map(({ id }) => id).join();
  if (ids(live) !== ids(fresh)) return live.replaceChildren(...fresh.body.childNodes);
  for (const part of fresh.querySelectorAll("[data-part]")) replace(document.getElementById(part.id), part);
}

function replace(old, part) {
  if (withoutTokens(old) === withoutTokens(part)) return;
  const focused = old.contains(document.activeElement) ? document.activeElement.id : "";
  old.replaceWith(part);
  // The keyboard's place must survive a change.
  if (focused) document.getElementById(focused)?.focus();
}

// The form's token is masked anew in every answer, and means the same.
function withoutTokens(element) {
  const copy = element.cloneNode(true);
  copy.querySelectorAll("[name=csrfmiddlewaretoken]").forEach((field) => field.remove());
  // Opened by the reader.
  copy.querySelectorAll("details").forEach((details) => details.removeAttribute("open"));
  return copy.outerHTML;
}

const facts = () => live.querySelector("[data-state]").dataset;

/** Tell a listener how far it is, now and then, and the end. */
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
