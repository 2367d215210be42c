"""Errors of batches and their callbacks."""

from django.utils.translation import gettext_lazy as _

from lib.web.catalogue.row import Hint, Row

_DIVIDE = _("Divide the pictures among several batches.")

ROWS = {
    "too_many_images": Row(
        status=400,
        message="A batch may hold at most {images} images.",
        advice=_DIVIDE,
        hint=Hint(_("A batch has at most 500 pictures. Send the others as a second one.")),
    ),
    "batch_too_large": Row(
        status=413,
        message="A batch may hold at most {gigabytes} GB of images.",
        advice=_DIVIDE,
        hint=Hint(_("A batch has at most 2 GB. Send some of the pictures as a second one.")),
    ),
    "invalid_zip": Row(
        status=400,
        message="'{name}' is not a zip file, or it is damaged.",
        advice=_("Make the zip again, and check that it was sent whole."),
        hint=Hint(_("The zip is damaged, or it is not a zip file. Pack the pictures again.")),
    ),
    "zip_entry_unreadable": Row(
        status=400,
        message="This file could not be unpacked: {reason}.",
        advice=_("Pack the pictures again without a password, stored or deflated."),
    ),
    "not_enough_credits": Row(
        status=429,
        message="This batch needs {wanted} credits, and {left} are left. Send fewer images or purchase more credits.",
        advice=_("Send fewer pictures, or buy credits. No credit was held for this batch."),
        hint=Hint(_("The batch needs more credits than you have. Send fewer pictures, or buy credits."), "pricing"),
    ),
    "too_many_batches": Row(
        status=429,
        message="At most {batches} batches may be in progress at once. Wait for one to finish, or cancel one.",
        advice=_("Wait until one of your batches has ended, or cancel one."),
        # When a batch ends is not known.
        headers={"Retry-After": "30"},
        hint=Hint(
            _("You have as many batches in progress as an account may. Wait for one to finish, or cancel one."), "batchPages"
        ),
    ),
    "daily_batch_limit_reached": Row(
        status=429,
        message="At most {batches} batches may be made in 24 hours. Send more images in one batch, or come back later.",
        advice=_("Wait for the seconds in Retry-After and try again."),
    ),
    "invalid_batch_id": Row(
        status=400,
        message="'before' must be the id of a batch.",
        advice=_("Use the id of a batch in your list of batches."),
    ),
    "no_result": Row(
        status=404,
        message="This image has no result: it is {state}.",
        advice=_("Wait until the picture is done. One that has failed never gets a result: its “error” says why."),
    ),
    "no_such_image": Row(
        status=404,
        message="This batch has no image with index {position}.",
        advice=_("Count from 0, as “index” does."),
    ),
    "no_such_output": Row(
        status=404,
        message="This image has no result with index {position}.",
        advice=_("Count from 0, in the order of “outputs”. Without “outputs” there is one result."),
    ),
    "batch_expired": Row(
        status=410,
        message="The images of this batch have been erased.",
        advice=_("Send the pictures again, and fetch the results in time."),
    ),
    "callback_url_invalid": Row(
        status=400,
        message="'callback_url' is not an address that can be called: {reason}.",
        advice=_("Send a full http or https address, encoded as in a browser’s address bar."),
    ),
    "callback_url_forbidden": Row(
        status=400,
        message="'callback_url' may not be called: {reason}.",
        advice=_("Use an address that can be reached from the internet."),
    ),
    "no_callback": Row(
        status=404,
        message="This batch has no callback, or has not ended yet.",
        advice=_("Send “callback_url” with the batch, and wait for it to end."),
    ),
    "callback_gone": Row(
        status=409,
        message="The address of this callback was erased: it cannot be sent again.",
        advice=_("The account of this batch was deleted, so its callback cannot be sent."),
    ),
    "callback_tries_used_up": Row(
        status=409,
        message="This callback was tried {tries} times and is not sent again.",
        advice=_("Read the batch instead: it has everything that the callback would report."),
    ),
}
