// Every error as a sentence that says what to do, with a link to where it is done. `errorHints` are the server's catalogue of
// errors; they come with the translations.

const page = document.querySelector("[data-rmbg]").dataset;

/** What to show for an error: `{text, link: {href, label} | null, requestId}`. */
export function explain(error) {
  const { text, link, label } = errorHints[error.code] ?? { text: unknownText(error) };
  const href = page[link];
  return { text, link: href ? { href, label } : null, requestId: error.requestId ?? "" };
}

/** An element that shows it. */
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
  // What our own code throws is translated already; of the API's words only those without a code here are left.
  if (error.status === undefined) return error.message;
  if (error.status >= 500) return errorHints.internal_error.text;
  return error.message;
}
