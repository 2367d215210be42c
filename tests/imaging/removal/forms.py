"""Hand-made multipart bodies for Django's test client, which cannot name a part as callers do."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.http import HttpRequest

from imaging.batches.upload import BatchForm, BatchParser
from imaging.removal.upload import Form, FormParser
from lib.web.errors import find_translation

BOUNDARY = "test-boundary"


def form(picture: bytes | None = None, *, name: str = "a.png", **fields: str) -> dict[str, Any]:
    """Arguments of `Client.post` for a form with one image and text fields."""
    parts = [part(f'name="{field}"', value.encode()) for field, value in fields.items()]
    if picture is not None:
        parts.append(part(f'name="image"; filename="{name}"', picture))
    body = b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()
    return {"data": body, "content_type": f"multipart/form-data; boundary={BOUNDARY}"}


def part(disposition: str, content: bytes) -> bytes:
    """One part, of a text field or a file."""
    return f"--{BOUNDARY}\r\nContent-Disposition: form-data; {disposition}\r\n\r\n".encode() + content + b"\r\n"


@contextmanager
def read_form(request: HttpRequest) -> Iterator[Form]:
    """The form of one image, parsed as for the view. A refusal is raised as the error that the view answers."""
    with _refusals_translated(), FormParser().parse(request, parser_context={"request": request}) as form:
        yield form


@contextmanager
def read_batch(request: HttpRequest) -> Iterator[BatchForm]:
    """The same, for the form of a batch."""
    with _refusals_translated(), BatchParser().parse(request, parser_context={"request": request}) as form:
        yield form


@contextmanager
def _refusals_translated() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if (refusal := find_translation(error)) is None:
            raise
        raise refusal from error
