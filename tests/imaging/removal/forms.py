"""Hand-made multipart bodies for Django's test client, which cannot name a part as callers do."""

from typing import Any

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
