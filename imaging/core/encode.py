"""From a composed picture to the bytes of a file, with no metadata but the colour profile."""

import io
from collections.abc import Mapping
from typing import Any

from PIL import Image

from imaging.core.options import OutputFormat
from imaging.core.png import encode_png
from imaging.core.webp import encode_webp

MEDIA_TYPES: Mapping[OutputFormat, str] = {
    "webp": "image/webp",
    "png": "image/png",
    "jpeg": "image/jpeg",
    "bmp": "image/bmp",
}

_SETTINGS: Mapping[str, Mapping[str, Any]] = {
    # Chroma at full resolution: a subject on a plain background is all about its edge.
    "jpeg": {"quality": 90, "subsampling": "4:4:4"},
    "bmp": {},
}


def encode(image: Image.Image, format: OutputFormat, icc_profile: bytes | None) -> bytes:
    """The file of `image`: RGB or RGBA, or L for a mask; JPEG and BMP take no RGBA.

    `icc_profile` goes into the file byte for byte (BMP, as Pillow writes it, has no room for one: colours come in sRGB). A
    picture in mode L comes back grey from every format, without loss from all but JPEG. May change the alpha of `image`.
    """
    image.info = {}
    if format == "webp":
        return encode_webp(image, icc_profile)
    if format == "png":
        return encode_png(image, icc_profile)
    buffer = io.BytesIO()
    image.save(buffer, format, icc_profile=icc_profile, **_SETTINGS[format])
    return buffer.getvalue()
