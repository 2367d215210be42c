"""The errors that views answer when the domain below them raises."""

from imaging.core.problems import ImageRefused
from imaging.executor.gate import Busy
from lib.web.errors import ApiError, register_translation, validation_error


def busy_error() -> ApiError:
    """The 503 when every place is taken."""
    text = "All processing slots and queue places are taken. Please try again in a few seconds."
    return ApiError("server_busy", message=text)


def register() -> None:
    """Called once, when the app is ready."""
    register_translation(Busy, lambda _: busy_error())
    register_translation(ImageRefused, lambda refused: validation_error(refused.problems))
