// Every error as a sentence that says what to do, with a link to where it is done.

const page = document.querySelector("[data-rmbg]").dataset;

/** What to show for an error: `{text, link: {href, label} | null, requestId}`. */
export function explain(error) {
  const known = byCode()[error.code];
  const [text, link] = known ?? [unknownText(error), null];
  return { text, link: link?.href ? link : null, requestId: error.requestId ?? "" };
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
  // What our own code throws is translated already; of the API's words only those without a code here are left.
  if (error.status === undefined) return error.message;
  if (error.status >= 500) return gettext("Something went wrong on our side. You were not charged. Try again.");
  return error.message;
}

function byCode() {
  const link = (name, label) => ({ href: page[name], label });
  const unreadable = gettext("This file is no picture that can be read. Choose a JPEG, PNG, WebP or BMP picture.");
  const tooManyPixels = gettext("This picture has more than 10,000 pixels on a side. Choose a smaller one.");
  return {
    network: [gettext("The server cannot be reached. Check your connection, then try again.")],
    daily_limit_reached: [
      gettext("You have used today's free pictures without an account. Sign up for more, or come back tomorrow."),
      link("signup", gettext("Sign up for free")),
    ],
    monthly_limit_reached: [
      gettext("You have no credits left. Buy credits or choose a larger plan, then try again."),
      link("pricing", gettext("See pricing")),
    ],
    not_enough_credits: [
      gettext("The batch needs more credits than you have. Send fewer pictures, or buy credits."),
      link("pricing", gettext("See pricing")),
    ],
    too_many_batches: [
      gettext("You have as many batches in progress as an account may. Wait for one to finish, or cancel one."),
      link("batchPages", gettext("See your batches")),
    ],
    too_many_images: [gettext("A batch has at most 500 pictures. Send the others as a second one.")],
    batch_too_large: [gettext("A batch has at most 2 GB. Send some of the pictures as a second one.")],
    invalid_zip: [gettext("The zip is damaged, or it is none. Pack the pictures again.")],
    rate_limited: [gettext("That were too many requests at once. Wait a moment, then try again.")],
    server_busy: [gettext("The server is busy. Wait a moment, then try again.")],
    service_unavailable: [gettext("The server is busy. Wait a moment, then try again.")],
    idempotency_in_progress: [gettext("The first try of this picture is still at work. Wait a moment, then try again.")],
    not_logged_in: [gettext("You have been logged out. Log in again."), link("login", gettext("Log in"))],
    invalid_api_key: [gettext("Your log-in is no longer valid. Log in again."), link("login", gettext("Log in"))],
    csrf_failed: [gettext("This page has been open for too long. Reload it, then try again.")],
    email_not_verified: [
      gettext("Your e-mail address is not verified yet. Open the link in our mail, or have it sent again."),
      link("email", gettext("Verify the address")),
    ],
    invalid_image: [unreadable],
    unsupported_file_type: [unreadable],
    missing_image: [unreadable],
    no_file_selected: [unreadable],
    empty_file: [gettext("This file is empty. Choose another one.")],
    file_too_large: [gettext("This file is larger than 50 MB. Choose a smaller one.")],
    payload_too_large: [gettext("This file is larger than 50 MB. Choose a smaller one.")],
    image_too_wide: [tooManyPixels],
    image_too_tall: [tooManyPixels],
    image_too_complex: [
      gettext("This picture is stored in a way that takes too long to read. Save it again as JPEG or PNG, then try again."),
    ],
    image_too_slow: [gettext("This picture took too long. Choose a smaller one.")],
    internal_error: [gettext("Something went wrong on our side. You were not charged. Try again.")],
  };
}
