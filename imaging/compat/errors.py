"""The errors of `/v1.0/` in the shape of remove.bg's API: `{"errors": [{"title": …, "code": …, "detail": …}]}`.

The title says what is wrong in few words, since every client shows it; the detail says more, and the code is for machines.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from imaging.compat.forms import BACKGROUND_URL
from imaging.compat.kept_images import NoRoom
from lib.web.errors import ApiError, Problem, Shaped, register_shape, register_translation

PREFIX = "/v1.0/"


@dataclass(frozen=True, slots=True)
class _Own:
    """The code and title of an error, and the status if it is another than ours."""

    code: str
    title: str
    status: int = 0


_UNREADABLE = _Own("failed_to_read_image", "There was an error reading the image.")
_TOO_MANY_PIXELS = _Own("resolution_too_high", "Image resolution too high")
_NO_CREDITS = _Own("insufficient_credits", "Insufficient credits", 402)
_BAD_ADDRESS = _Own("invalid_image_url", "Invalid image_url: Please provide a valid URL.")
_NOT_FETCHED = _Own("failed_image_download", "Failed to download image from given image_url")
# By our code. All others keep it, and have their message as the title.
_OWN: Mapping[str, _Own] = {
    "missing_api_key": _Own("auth_failed", "Missing API Key", 403),
    "invalid_api_key": _Own("auth_failed", "API Key invalid", 403),
    "not_logged_in": _Own("auth_failed", "API Key invalid", 403),
    "monthly_limit_reached": _NO_CREDITS,
    "key_limit_reached": _NO_CREDITS,
    "rate_limited": _Own("rate_limit_exceeded", "Rate limit exceeded"),
    "improve_limit_reached": _Own("rate_limit_exceeded", "Rate limit exceeded"),
    "missing_source": _Own("missing_source", "No image given"),
    "multiple_sources": _Own("multiple_sources", "Multiple image sources given"),
    "two_backgrounds": _Own("multiple_bg_sources", "Multiple background sources given"),
    "invalid_file_type": _Own("invalid_file_type", "Invalid file type"),
    "file_too_large": _Own("file_too_large", "File too large"),
    "empty_file": _UNREADABLE,
    "invalid_dimensions": _Own("invalid_dimensions", "Failed to read image dimensions"),
    "unreadable_image": _UNREADABLE,
    "invalid_image": _UNREADABLE,
    "image_too_complex": _UNREADABLE,
    "image_too_slow": _UNREADABLE,
    "image_too_wide": _TOO_MANY_PIXELS,
    "image_too_tall": _TOO_MANY_PIXELS,
    "unknown_foreground": _Own("unknown_foreground", "Could not identify foreground in image."),
    "image_url_invalid": _BAD_ADDRESS,
    "image_url_forbidden": _BAD_ADDRESS,
    "image_url_disabled": _BAD_ADDRESS,
    "roi_empty": _Own("roi_region_empty", "ROI region is empty"),
    "roi_out_of_bounds": _Own("roi_exceeds_bounds", "ROI exceeds image bounds"),
    "payload_too_large": _Own("file_too_large", "File too large"),
    "improve_disabled": _Own("not_found", "This service does not collect images"),
}
_FETCHING = (
    "image_url_redirects", "image_url_unreachable", "image_url_timeout", "image_url_failed", "image_url_encoding",
    "image_url_too_large",
)  # fmt: skip
# Problems of fields that have a separate code, by field.
_OF_FIELDS: Mapping[str, _Own] = {
    "bg_color": _Own("invalid_bg_color", "Invalid bg_color parameter given"),
    "size": _Own("invalid_size", "Invalid value for parameter 'size'"),
    "channels": _Own("invalid_channels", "Invalid value for parameter 'channels'"),
    # A crop with its margin that is too large: the core speaks of the sides that it would have.
    **dict.fromkeys(("w", "h"), _Own("invalid_crop_margin", "Invalid crop_margin parameter given")),
    **{
        name: _Own(f"invalid_{name}", f"Invalid {name} parameter given")
        for name in ("format", "roi", "scale", "position", "crop_margin", "semitransparency")
    },
}
_OF_A_VALUE = ("invalid_choice", "invalid_number", "invalid_boolean", "invalid_length", "invalid_color", "out_of_range")


def shape(error: ApiError) -> Shaped:
    """`error` as it is sent under `/v1.0/`: one entry for each problem of the request."""
    if error.problems:
        entries = [_entry(_own_of(problem), problem.message) for problem in error.problems]
        status = error.status
    else:
        own = _OWN.get(error.code) or _Own(error.code, error.message)
        entries, status = [_entry(own, error.message)], own.status or error.status
    # A challenge belongs to a 401.
    headers = {name: value for name, value in error.headers.items() if name != "WWW-Authenticate"}
    return Shaped(status, headers, {"errors": entries})


def _entry(own: _Own, message: str) -> dict[str, str]:
    entry = {"title": own.title, "code": own.code}
    return entry if message == own.title else {**entry, "detail": message}


def _own_of(problem: Problem) -> _Own:
    if problem.field == BACKGROUND_URL:
        if problem.code in _FETCHING:
            return _Own("failed_bg_download", "Failed to download background image from given bg_image_url")
        if _OWN.get(problem.code) is _BAD_ADDRESS:
            return _Own("invalid_bg_image_url", "Invalid bg_image_url: Please provide a valid URL.")
    if problem.code in _FETCHING:
        # The clients show no more than the title.
        return _Own(_NOT_FETCHED.code, f"{_NOT_FETCHED.title}: {problem.message}")
    if problem.field == "roi" and problem.code == "out_of_range":
        return _OWN["roi_out_of_bounds"]
    own = _OF_FIELDS.get(problem.field) or _OWN.get(problem.code)
    if own and problem.code not in ("two_backgrounds", "roi_empty", "roi_out_of_bounds"):
        return own
    if problem.code in _OF_A_VALUE:
        return _Own("invalid_parameter", f"Invalid value for parameter '{problem.field}'")
    return _OWN.get(problem.code) or _Own(problem.code, problem.message)


def register() -> None:
    """Called once, when the app is ready."""
    register_shape(PREFIX, shape)
    register_translation(NoRoom, lambda _: ApiError("improve_limit_reached"))
