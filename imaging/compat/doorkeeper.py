"""Registers the uploads of `/v1.0/` with the server: only the holders of keys may send more than a megabyte."""

from functools import partial

from imaging.compat.forms import MAX_KEPT_OF_PART
from imaging.removal.doorkeeper import judge
from lib.web import rate_limits
from lib.web.errors import ApiError
from lib.web.request_body import DRAIN_BYTES
from lib.web.server import uploads
from lib.web.server.uploads import SMALL_BODY_BYTES, Upload

PATHS = ("/v1.0/removebg", "/v1.0/improve")


def register() -> None:
    """Called once, when the app is ready."""
    check = partial(judge, is_open=False, missing=ApiError("missing_api_key"), check=rate_limits.check_megapixels)
    for path in PATHS:
        uploads.register(path, Upload(DRAIN_BYTES + SMALL_BODY_BYTES, check, kept_of_part=MAX_KEPT_OF_PART))
