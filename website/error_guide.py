"""Every error of the API and what a caller does about it: the errors come from the code, the advice is written here."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from billing.membership import openapi as billing_schema
from lib.web.errors import ApiError, from_status
from imaging.removal import openapi as imaging_schema
from imaging.batches import openapi as batch_schema

ADVICE: dict[str, Promise] = {
    "missing_image": _("Send the picture as a file part named “image”, or its address as “image_url”."),
    "no_file_selected": _("The part is there, but no file was chosen: attach one before you send the form."),
    "unsupported_file_type": _("Convert the picture to one of the formats named, or give the file its right extension."),
    "invalid_image": _("The bytes are not a picture that we read, or the file is damaged. Open it and save it again."),
    "empty_file": _("The upload carried no bytes. Check that the file was read from its beginning."),
    "file_too_large": _("Make the picture smaller or compress it more before you send it."),
    "image_too_wide": _("Scale the picture down to at most 10000 px a side."),
    "image_too_tall": _("Scale the picture down to at most 10000 px a side."),
    "image_too_complex": _("Save the picture again as the message says: it is stored in a way that is costly to read."),
    "image_too_slow": _("Send a smaller picture, or save it again as a baseline JPEG or a PNG. Nothing was charged."),
    "invalid_integer": _("Send a whole number in decimal digits, or leave the field out."),
    "out_of_range": _("Choose a value within the range that the message names."),
    "invalid_number": _("Send a finite decimal number of degrees."),
    "invalid_format": _("Choose one of the formats named."),
    "invalid_color": _("Write the colour in one of the forms named, or use a CSS colour name."),
    "invalid_boolean": _("Send true, false, 1, 0, yes, no, on or off."),
    "mask_with_bg_color": _("A mask has no background: leave one of the two fields out."),
    "two_pictures": _("Leave out one of the two fields."),
    "image_url_invalid": _("Send a full http or https address, encoded as in a browser’s address bar."),
    "image_url_forbidden": _("Use an address that anybody on the internet can open, or upload the picture itself."),
    "image_url_redirects": _("Send the address where the redirects end."),
    "image_url_unreachable": _("Open the address from outside of your network. If it works there, try again in a moment."),
    "image_url_timeout": _("The server is slow or far away. Try again, or upload the picture itself."),
    "image_url_failed": _("Check that the address opens without logging in and that a signed one has not expired."),
    "image_url_encoding": _(
        "Let the server send the picture uncompressed when it is asked to, or upload the picture itself."
    ),
    "image_url_too_large": _("Make the picture smaller or compress it more at its address."),
    "image_url_disabled": _("This deployment does not fetch pictures. Upload the picture itself."),
    "validation_error": _("Several fields are wrong: “details” has one message for each."),
    "two_credentials": _("Send the API key or the user token, not both."),
    "malformed_form": _("The upload ended early or is no proper form. Let your HTTP library build it, and send it again."),
    "invalid_idempotency_key": _("Use a UUID or another short text without spaces."),
    "invalid_api_key": _("Check the key, or make a new one. Do not retry: the answer will be the same."),
    "email_not_verified": _("Open the link in the mail that we sent when you signed up."),
    "not_found": _("Check the address."),
    "method_not_allowed": _("Send the request with the method that the reference names."),
    "idempotency_key_reused": _("Use a new key for each picture and set of options."),
    "idempotency_key_used_up": _("Keep the picture that was delivered, or send the request with a new key."),
    "idempotency_in_progress": _("Wait for the seconds in Retry-After and send the same request again."),
    "payload_too_large": _("The form is far larger than any picture may be. Send one picture in each request."),
    "unsupported_media_type": _("Send multipart/form-data."),
    "too_many_images": _("Divide the pictures among several batches."),
    "invalid_zip": _("Make the zip again, and check that it was sent whole."),
    "zip_entry_unreadable": _("Pack the pictures again without a password, stored or deflated."),
    "callback_url_invalid": _("Send a full http or https address, encoded as in a browser’s address bar."),
    "callback_url_forbidden": _("Use an address that can be reached from the internet."),
    "no_callback": _("Send “callback_url” with the batch, and wait for it to end."),
    "callback_gone": _("The batch was of an account that is deleted: there is nobody left to tell."),
    "callback_tries_used_up": _("Ask for the batch instead: it tells all that the callback would."),
    "invalid_batch_id": _("Use an id that the list of batches has told."),
    "no_result": _("Wait until the picture is done. One that has failed never gets a result: its “error” says why."),
    "no_such_image": _("Count from 0, as “index” does."),
    "batch_expired": _("Send the pictures again, and fetch the results in time."),
    "batch_too_large": _("Divide the pictures among several batches."),
    "not_enough_credits": _("Send fewer pictures, or buy credits. Nothing of this batch was held."),
    "too_many_batches": _("Wait until one of your batches has ended, or cancel one."),
    "daily_batch_limit_reached": _("Wait for the seconds in Retry-After and try again."),
    "rate_limited": _("Wait for the seconds in Retry-After and try again. This is the one 429 to retry by itself."),
    "daily_limit_reached": _("Sign up and send a key, or come back tomorrow (UTC)."),
    "monthly_limit_reached": _("Buy credits or choose a larger plan. Retrying does not help before the next window."),
    "key_limit_reached": _("Raise the cap of this key under API keys, or use another key."),
    "internal_error": _("Try again once. If it happens again, write to us with the request id."),
    "server_busy": _("Wait for the seconds in Retry-After and try again."),
    "service_unavailable": _("Wait for the seconds in Retry-After and try again."),
    "hold_expired": _("Wait for the seconds in Retry-After and try again."),
    "conflicting_parameters": _("Ask for a billing window or for a calendar month, not for both."),
    "unknown_billing_cycle": _("Ask with listBillingCycles=1 first and use one of its periodStartUnix values."),
}


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table of errors. `anchor` is empty for a code that has its anchor further up already."""

    status: int
    code: str
    text: str
    advice: Promise
    retry_after: bool
    anchor: str


def rmbg_errors() -> list[Row]:
    """Every error that `/rmbg` can answer."""
    listed = (error for _, examples in imaging_schema.ERRORS.values() for error in examples)
    return _rows([*listed, from_status(404)])


def batch_errors() -> list[Row]:
    """The errors of `/api/batches`, and of its pictures, that `/rmbg` does not have."""
    rmbg = rmbg_errors()
    texts, anchors = {row.text for row in rmbg}, {row.anchor for row in rmbg}
    rows = _rows(error for error in [*batch_schema.ERRORS, *batch_schema.OF_AN_ITEM] if error.message not in texts)
    return [replace(row, anchor="") if row.anchor in anchors else row for row in rows]


def membership_errors() -> list[Row]:
    """The errors of `/api/membership-usage` that `/rmbg` does not have, and those of its parameters."""
    return _rows(billing_schema.BAD_REQUESTS)


def _rows(errors: Iterable[ApiError]) -> list[Row]:
    seen: set[str] = set()
    rows = []
    for error in sorted(errors, key=lambda error: error.status):
        anchor = "" if error.code in seen else error.code
        seen.add(error.code)
        advice, retry_after = ADVICE[error.code], "Retry-After" in error.headers
        rows.append(Row(error.status, error.code, error.message, advice, retry_after, anchor))
    return rows
