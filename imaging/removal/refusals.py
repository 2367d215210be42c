"""Why a form, a body or a result is refused. `imaging.removal.errors` makes the API's errors of these."""

from imaging.core.problems import ImageRefused


class MalformedForm(Exception):
    """The body does not match its headers, or is not validly encoded. `reason` is for its sender: the end of a sentence."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class BodyTooLarge(Exception):
    """The body, or what it unpacks to, is larger than any valid one. `message` is for its sender, if it is a special one."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message)
        self.message = message


class UnsupportedMediaType(Exception):
    """The body is not a form."""


class UnsupportedCoding(Exception):
    """The body has a Content-Encoding other than gzip and deflate."""


class FetchFailed(ImageRefused):
    """The image at `image_url` cannot be fetched. Carries one or more problems."""


class TooManyUnread(Exception):
    """Too many results wait to be read by their callers. A later retry may succeed."""
