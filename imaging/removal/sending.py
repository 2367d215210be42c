"""Sends a result: what the caller does not read at once waits on disk and keeps the caller's place."""

import io
import weakref
from collections.abc import Mapping, Sequence
from tempfile import TemporaryFile
from typing import BinaryIO, cast

from django.http import FileResponse, HttpResponse
from django.http.response import HttpResponseBase

from imaging.removal.refusals import TooManyUnread
from lib.web.rate_limits import Place
from lib.web.server import budgets

# Up to this size a result may stay in the server's memory.
MEMORY_BYTES = 256 * 1024


def check_room(place: Place) -> None:
    """Raise TooManyUnread while the unread results of the caller, or of all callers, fill their space: before any charge."""
    if not budgets.results().has_room(place.subject):
        raise TooManyUnread


def respond(content: BinaryIO, size: int, headers: Mapping[str, str], place: Place) -> HttpResponseBase:
    """The answer with a result, open at its start. A large one keeps `place`, and its bytes count, until it is sent or the
    caller is gone.

    Raises TooManyUnread if there is no space for it, OSError when the disk is full.
    """
    if size <= MEMORY_BYTES:
        return HttpResponse(content.read(), headers=dict(headers))
    budget = budgets.results()
    if not budget.take(place.subject, size):
        raise TooManyUnread
    # The response may never be sent: in any case each of these runs once, at the latest when the file is closed.
    try:
        # The server closes it after sending.
        file = _on_disk(content)
    except BaseException:
        budget.give_back(place.subject, size)
        raise
    ends = [weakref.finalize(file, budget.give_back, place.subject, size), weakref.finalize(file, place.leave_soon)]
    place.keep()
    others = {name: value for name, value in headers.items() if name != "Content-Type"}
    response = FileResponse(file, content_type=headers["Content-Type"], headers=others)
    response._resource_closers += ends  # type: ignore[attr-defined]  # untyped; Django's only hook for the end of an answer
    return response


def _on_disk(content: BinaryIO) -> BinaryIO:
    """`content`, if it is already on disk; else a copy."""
    if not isinstance(content, io.BytesIO):
        return content
    file = cast(BinaryIO, TemporaryFile())  # noqa: SIM115 - returned
    try:
        file.write(content.getbuffer())
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return file


def foreground_headers(foreground: Sequence[int]) -> dict[str, str]:
    """The headers with the subject's box: left, top, width and height."""
    sides = zip(("Left", "Top", "Width", "Height"), foreground, strict=True)
    return {f"X-Foreground-{side}": str(pixels) for side, pixels in sides}
