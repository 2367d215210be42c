"""Errors of any request: what the framework and the server raise, in our words. (The framework's change.)"""

from django.utils.translation import gettext_lazy as _

from lib.web.catalogue.row import Hint, Page, Row

_OUR_FAULT = Page(
    _("Something went wrong on our side"),
    _("It was not your fault, and you were not charged. We have logged the error. Try again in a moment."),
)
_WAIT = _("Wait for the seconds in Retry-After and try again.")
_BUSY = Hint(_("The server is busy. Wait a moment, then try again."))

ROWS = {
    "bad_request": Row(
        status=400,
        is_default=True,
        message="The request could not be understood.",
        label=_("The request could not be understood"),
        page=Page(
            _("We could not read this request"),
            _("Something is wrong with the address or the form. Go back, reload the page and try again."),
        ),
    ),
    "validation_error": Row(
        status=400,
        message="Multiple validation errors",
        advice=_("Several fields are wrong: “details” has one message for each."),
        label=_("Several options were wrong"),
    ),
    "out_of_range": Row(
        status=400,
        message="'{field}' must be between {low} and {high}, got: {value}",
        advice=_("Choose a value within the range that the message names."),
        label=_("An option was out of range"),
    ),
    "invalid_integer": Row(
        status=400,
        message="'{field}' must be an integer, got: '{value}'",
        advice=_("Send a whole number in decimal digits, or leave the field out."),
        label=_("An option was not a whole number"),
    ),
    "malformed_form": Row(
        status=400,
        message="The form data could not be read: {reason}",
        advice=_("The upload ended early or is not a valid form. Let your HTTP library build it, and send it again."),
        label=_("The form could not be read"),
    ),
    "forbidden": Row(
        status=403,
        is_default=True,
        message="You do not have permission to do this.",
        page=Page(
            _("You cannot see this page"),
            _("Your account does not have access to it. Log in with another account, or continue from here."),
        ),
    ),
    "csrf_failed": Row(
        status=403,
        message="The form has expired or came from another site. Reload the page and try again.",
        page=Page(
            _("This form has expired"),
            _("Your session ended, or the form came from another site. Nothing was changed: reload it and try again."),
        ),
        hint=Hint(_("This page has been open for too long. Reload it, then try again.")),
    ),
    "not_found": Row(
        status=404,
        is_default=True,
        message="Not found.",
        advice=_("Check the address."),
        page=Page(
            _("Page not found"),
            _("The address may be mistyped, or the page may have moved. These pages exist:"),
        ),
    ),
    "method_not_allowed": Row(
        status=405,
        is_default=True,
        message="This method is not allowed here.",
        advice=_("Send the request with the method that the reference names."),
        page=Page(
            _("This page cannot be opened directly"),
            _("This address only accepts a form. Go back to the page with the form and try again."),
        ),
    ),
    "not_acceptable": Row(status=406, is_default=True, message="The requested media type is not available."),
    "request_timeout": Row(status=408, is_default=True, message="The request did not arrive in time."),
    "payload_too_large": Row(
        status=413,
        is_default=True,
        message="The request body is too large.",
        advice=_("The form is far larger than any picture may be. Send one picture in each request."),
        label=_("The request was too large"),
        hint=Hint(_("This file is larger than 50 MB. Choose a smaller one.")),
    ),
    "uri_too_long": Row(status=414, is_default=True, message="The address is too long."),
    "unsupported_media_type": Row(
        status=415,
        is_default=True,
        message="This content type is not supported here.",
        advice=_("Send multipart/form-data."),
        label=_("Not sent as a form"),
    ),
    "expectation_failed": Row(
        status=417, is_default=True, message="The only expectation that is supported is 100-continue."
    ),
    "headers_too_large": Row(status=431, is_default=True, message="The request's headers are too large or too many."),
    "caller_gone": Row(status=499, message="The caller closed the connection before the image was done."),
    "internal_error": Row(
        status=500,
        is_default=True,
        message="Something went wrong on our side. You were not charged.",
        advice=_("Try again once. If it happens again, write to us with the request id."),
        label=_("A fault on our side"),
        page=_OUR_FAULT,
        hint=Hint(_("Something went wrong on our side. You were not charged. Try again.")),
    ),
    "not_implemented": Row(
        status=501,
        is_default=True,
        message="This transfer coding is not supported. Send the body chunked or with a Content-Length.",
    ),
    "server_busy": Row(
        status=503,
        is_default=True,
        message="The server is busy. Try again in a moment.",
        advice=_WAIT,
        label=_("The server was busy"),
        hint=_BUSY,
        headers={"Retry-After": "5"},
    ),
    "service_unavailable": Row(
        status=503,
        message="The service is not available at the moment. Please try again shortly.",
        advice=_WAIT,
        label=_("A fault on our side"),
        page=_OUR_FAULT,
        hint=_BUSY,
        # A restarted database is back by then.
        headers={"Retry-After": "5"},
    ),
    "insufficient_storage": Row(
        status=507,
        is_default=True,
        message="The server has no room for this at the moment. You were not charged.",
        headers={"Retry-After": "60"},
    ),
}
