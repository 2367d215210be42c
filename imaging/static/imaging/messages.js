// Turns every error into a sentence that says what to do, with a link to where to do it. `errorHints` is the server's error
// catalogue; it is served with the translations.

let numbers = null;

/** A number as the page's language writes it. */
export function number(value) {
  // The first one takes a phone 50 ms: not while the page loads.
  numbers ??= new Intl.NumberFormat(document.documentElement.lang);
  return numbers.format(value);
}

/** A share (0-1) in percent, with up to `digits` after the point, as the page's language writes it. */
export const percent = (share, digits = 0) =>
  new Intl.NumberFormat(document.documentElement.lang, { style: "percent", maximumFractionDigits: digits }).format(share);

const page = document.querySelector("[data-rmbg]").dataset;

/** What to show for an error: `{text, link: {href, label} | null, requestId}`. */
export function explain(error) {
  const { text, link, label } = errorHints[error.code] ?? { text: unknownText(error) };
  const href = page[link];
  return { text, link: href ? { href, label } : null, requestId: error.requestId ?? "" };
}

/** An element that shows the error. */
export function explanation(error) {
  const { text, link, requestId } = explain(error);
  const element = document.createElement("p");
  element.append(text);
  if (link) element.append(" ", anchor(link));
  if (requestId) element.append(" ", quoted(requestId));
  return element;
}

function anchor({ href, label }) {
  const element = document.createElement("a");
  element.href = href;
  element.textContent = label;
  return element;
}

function quoted(requestId) {
  const element = document.createElement("small");
  const code = document.createElement("code");
  code.textContent = requestId;
  element.append(gettext("Request"), " ", code);
  return element;
}

function unknownText(error) {
  if (error.code === "network") return gettext("The server cannot be reached. Check your connection, then try again.");
  // Errors of our own code are already translated; what remains is the API's messages whose code has no hint.
  if (error.status === undefined) return error.message;
  if (error.status >= 500) return errorHints.internal_error.text;
  return error.message;
}
