"""Shared by the batch tests: forms with many parts, and work done synchronously."""

import io
import zipfile
from typing import Any

from django.core.signals import request_finished
from django.db import close_old_connections
from django.test import Client

from imaging.batches import leases, work
from imaging.models import Batch
from tests.imaging.removal.forms import BOUNDARY, part


def batch_form(*images: tuple[str, bytes], zips: tuple[bytes, ...] = (), urls: tuple[str, ...] = (), **fields: str) -> Any:
    """Arguments of `Client.post` for a batch: images with their names, zips, addresses, options."""
    parts = [part(f'name="{field}"', value.encode()) for field, value in fields.items()]
    parts += [part(f'name="image"; filename="{name}"', content) for name, content in images]
    parts += [part('name="zip"; filename="pictures.zip"', content) for content in zips]
    parts += [part('name="image_url"', url.encode()) for url in urls]
    body = b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()
    return {"data": body, "content_type": f"multipart/form-data; boundary={BOUNDARY}"}


def zipped(*entries: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip of these."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return buffer.getvalue()


def caller(key: str | None, **headers: str) -> Client:
    """A client with a key; an ApiError becomes its response."""
    return Client(headers={**({"x-api-key": key} if key else {}), **headers}, raise_request_exception=False)


def post(key: str | None, *images: tuple[str, bytes], retry: str = "", **parts: Any) -> Any:
    """Create a batch."""
    headers = {"Idempotency-Key": retry} if retry else {}
    return caller(key, **headers).post("/api/batches", **batch_form(*images, **parts))


def work_through() -> int:
    """Work like a worker until nothing waits; return the number of images."""
    done = 0
    while item := leases.take_next():
        work.work(item)
        done += 1
    return done


def content_of(answer: Any) -> bytes:
    """The whole body; its source is closed."""
    try:
        return b"".join(answer.streaming_content) if answer.streaming else answer.content
    finally:
        # Like Django's own client: the connection is the test's.
        request_finished.disconnect(close_old_connections)
        answer.close()
        request_finished.connect(close_old_connections)


def the_batch() -> Batch:
    """The only batch."""
    return Batch.objects.get()
