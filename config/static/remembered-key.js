// The key that a customer lets this browser tab keep for the documentation's samples. It is stored in the tab's own
// sessionStorage, which ends with the tab, and nowhere else. It belongs to one account and is forgotten at log-out.

const NAME = "docs-key";
const SHAPE = /^rmbg_[0-9A-Za-z]{12}_[0-9A-Za-z]{36}$/;

/** The part of a key that may be shown; null if the text cannot be a key. */
export function prefixOf(text) {
  return SHAPE.test(text) ? text.slice(0, 17) : null;
}

export function keep(text, account) {
  sessionStorage.setItem(NAME, JSON.stringify({ text, account }));
}

export function forget() {
  sessionStorage.removeItem(NAME);
}

/** The account's kept key, if it is still active; any other kept key is forgotten. */
export function findKept(account, prefixes) {
  const kept = JSON.parse(sessionStorage.getItem(NAME) ?? "null");
  if (kept && account && kept.account === account && prefixes.includes(prefixOf(kept.text))) return kept.text;
  forget();
  return null;
}

/** Forget the key when someone logs out on this page. */
export function forgetAtLogout() {
  for (const form of document.querySelectorAll("form[action$='/logout/']")) form.addEventListener("submit", forget);
}
