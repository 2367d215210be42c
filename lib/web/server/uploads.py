"""Which requests may carry a large body, and who may send one. Apps register theirs, so that config need not know them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lib.web.errors import ApiError

# All other bodies: forms of pages, Stripe's events (the webhook has its own, lower limit), JSON.
SMALL_BODY_BYTES = 2 * 1024**2
# An upload of up to this size is taken before its sender's credential is checked.
UNCHECKED_BYTES = 1024**2


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is known about an upload's sender before the upload has arrived.

    `refusal` is the error that the request would get in any case. `holder` is the account that the body's bytes count
    against, None for a caller without a credential.
    """

    refusal: ApiError | None = None
    holder: str | None = None


@dataclass(frozen=True, slots=True)
class Upload:
    """The limits of one path that accepts uploads.

    `max_bytes` of a body are read; the rest is dropped, and the application refuses the request. `kept_of_part` is how much
    of one part of a form is kept; after that its bytes are only counted. `refuses_by_length`: the application refuses a body
    by its Content-Length alone, so none of it need be kept.
    """

    max_bytes: int
    check_sender: Callable[[dict[str, Any]], Verdict]
    kept_of_part: int | None = None
    refuses_by_length: bool = False


_uploads: dict[str, Upload] = {}


def register(path: str, upload: Upload) -> None:
    """Let POSTs to `path` carry a large body. A thread calls `check_sender` with a WSGI environment whose body is empty."""
    _uploads[path] = upload


def find(method: str, path: str) -> Upload | None:
    """The limits of an upload; None for every other request."""
    return _uploads.get(path) if method == "POST" else None
