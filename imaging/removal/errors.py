"""The errors that views answer when the domain below them raises."""

from imaging.core.problems import ImageRefused
from imaging.executor.gate import Busy
from imaging.problems import FormRefused
from imaging.removal.refusals import BodyTooLarge, MalformedForm, TooManyUnread, UnsupportedCoding, UnsupportedMediaType
from lib.web.errors import ApiError, from_status, register_translation, validation_error


def busy_error() -> ApiError:
    """The 503 when every place is taken."""
    text = "All processing slots and queue places are taken. Please try again in a few seconds."
    return ApiError("server_busy", message=text)


def unread_error() -> ApiError:
    """The 503 while too many results wait to be read."""
    text = "Too many results have not been read yet. Read them, or try again in a few seconds."
    return ApiError("server_busy", message=text)


def malformed_form(reason: str) -> ApiError:
    """The 400 for a body that does not match its headers. `reason` is the end of its sentence."""
    return ApiError("malformed_form", reason=reason)


def unsupported_coding() -> ApiError:
    """The 415 for a body in an unsupported coding."""
    message = "This Content-Encoding is not supported here. Send the body as it is, or in gzip or deflate."
    # RFC 9110, 15.5.16: lists the supported codings.
    return ApiError("unsupported_media_type", message=message, headers={"Accept-Encoding": "gzip, deflate"})


def register() -> None:
    """Called once, when the app is ready."""
    register_translation(Busy, lambda _: busy_error())
    register_translation(TooManyUnread, lambda _: unread_error())
    register_translation(ImageRefused, lambda refused: validation_error(refused.problems))
    register_translation(FormRefused, lambda refused: validation_error(refused.problems))
    register_translation(MalformedForm, lambda refused: malformed_form(refused.reason))
    register_translation(BodyTooLarge, _body_too_large)
    register_translation(UnsupportedMediaType, lambda _: from_status(415))
    register_translation(UnsupportedCoding, lambda _: unsupported_coding())


def _body_too_large(refused: BodyTooLarge) -> ApiError:
    return ApiError("payload_too_large", message=refused.message) if refused.message else from_status(413)
