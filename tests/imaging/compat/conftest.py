"""`/v1.0/` as a key's holder calls it, with a quick stand-in for the model."""

import io
from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from PIL import Image

from tests.conftest import encoded
from tests.imaging.removal.conftest import fresh_places, web

__all__ = ["fresh_places", "web"]


class Answer:
    """An answer of `/v1.0/`, read to its end."""

    def __init__(self, response: Any) -> None:
        self.status, self.headers, self.response = response.status_code, response.headers, response
        self.content = b"".join(response)

    @property
    def image(self) -> Image.Image:
        assert self.status == 200, self.content
        image = Image.open(io.BytesIO(self.content))
        image.load()
        return image

    @property
    def size(self) -> tuple[int, int]:
        assert self.status == 200, self.content
        return int(self.headers["X-Width"]), int(self.headers["X-Height"])

    @property
    def errors(self) -> list[dict[str, str]]:
        """The entries of an error, which has the shape of remove.bg's."""
        assert self.headers["Content-Type"].startswith("application/json")
        body = self.response.json()
        assert set(body) == {"errors"}, body
        for entry in body["errors"]:
            assert set(entry) <= {"title", "code", "detail"}
            assert all(isinstance(value, str) and value for value in entry.values()), entry
            assert entry["title"]
        return body["errors"]

    @property
    def codes(self) -> list[str]:
        return [entry["code"] for entry in self.errors]


Send = Callable[..., Answer]


@pytest.fixture
def removebg(client: Client, key: str, premium, quick_model) -> Send:
    """Sends a form to `/v1.0/removebg`. `image` is the file's bytes; `headers` are more headers."""

    def send(image: bytes | None = None, headers: dict[str, str] | None = None, **fields: Any) -> Answer:
        data = dict(fields)
        if image is not None:
            data["image_file"] = SimpleUploadedFile("x", image)
        return Answer(client.post("/v1.0/removebg", data, headers={"x-api-key": key, **(headers or {})}))

    return send


def blank(width: int, height: int, format: str = "PNG", color: Any = "orange", **options: Any) -> bytes:
    """An image of one colour, in which the stand-in finds an ellipse."""
    return encoded(Image.new("RGB", (width, height), color), format, **options)
