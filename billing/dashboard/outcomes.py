"""What came of a call, in a short sentence for its customer. The code beside it is the one that the API answered."""

from django.utils.translation import gettext_lazy as _

DELIVERED = _("Delivered")
_BY_CODE = {
    "bad_request": _("The request could not be understood"),
    "daily_limit_reached": _("Daily allowance used up"),
    "email_not_verified": _("E-mail address not verified"),
    "empty_file": _("The file was empty"),
    "file_too_large": _("The file was too large"),
    "hold_expired": _("No credits left"),
    "idempotency_in_progress": _("The first try was still running"),
    "idempotency_key_reused": _("Idempotency key used for another request"),
    "idempotency_key_used_up": _("Idempotency key retried too often"),
    "image_too_complex": _("The picture was too costly to read"),
    "image_too_slow": _("The picture took too long"),
    "image_too_tall": _("The picture was too tall"),
    "image_too_wide": _("The picture was too wide"),
    "image_url_disabled": _("Pictures are not fetched here"),
    "image_url_encoding": _("The picture came in an encoding that is not accepted"),
    "image_url_failed": _("The picture's address answered with an error"),
    "image_url_forbidden": _("The picture's address may not be fetched"),
    "image_url_invalid": _("The picture's address was not usable"),
    "image_url_redirects": _("The picture's address redirects too often"),
    "image_url_timeout": _("The picture's address was too slow"),
    "image_url_too_large": _("The picture at the address was too large"),
    "image_url_unreachable": _("The picture's address could not be reached"),
    "internal_error": _("A fault on our side"),
    "invalid_api_key": _("Key or token not valid"),
    "invalid_boolean": _("An option was neither true nor false"),
    "invalid_color": _("Unknown background colour"),
    "invalid_format": _("Unknown output format"),
    "invalid_idempotency_key": _("Idempotency key not usable"),
    "invalid_image": _("Not a valid picture"),
    "invalid_integer": _("An option was not a whole number"),
    "invalid_number": _("An option was not a number"),
    "key_limit_reached": _("The key's monthly cap is reached"),
    "malformed_form": _("The form could not be read"),
    "mask_with_bg_color": _("Mask and background colour together"),
    "missing_image": _("No picture was sent"),
    "monthly_limit_reached": _("No credits left"),
    "no_file_selected": _("No picture was sent"),
    "out_of_range": _("An option was out of range"),
    "payload_too_large": _("The request was too large"),
    "rate_limited": _("Too many requests at a time"),
    "server_busy": _("Every place was taken"),
    "service_unavailable": _("A fault on our side"),
    "two_credentials": _("Key and token together"),
    "two_pictures": _("A picture and an address together"),
    "unsupported_file_type": _("File type not supported"),
    "unsupported_media_type": _("Not sent as a form"),
    "validation_error": _("Several options were wrong"),
}
_REFUSED, _FAILED = _("Refused"), _("A fault on our side")


def describe(status: int, code: str) -> str:
    """The sentence, in the language of the page."""
    if status < 400:
        return str(DELIVERED)
    return str(_BY_CODE.get(code) or (_REFUSED if status < 500 else _FAILED))
