"""Encodes a composed image as a file, with no metadata but the colour profile."""

import io
from collections.abc import Mapping
from tempfile import TemporaryFile
from typing import Any, BinaryIO, cast

from PIL import Image

from imaging.core.codecs.png_writer import write_png
from imaging.core.codecs.webp_writer import encode_webp
from imaging.core.memory import is_large
from imaging.core.options import FileFormat

MEDIA_TYPES: Mapping[FileFormat, str] = {
    "webp": "image/webp",
    "png": "image/png",
    "jpeg": "image/jpeg",
    "bmp": "image/bmp",
}

_SETTINGS: Mapping[str, Mapping[str, Any]] = {
    # Chroma at full resolution: on a plain background the subject's edge matters most.
    "jpeg": {"quality": 90, "subsampling": "4:4:4"},
    "bmp": {},
}


def encode(
    image: Image.Image,
    format: FileFormat,
    icc_profile: bytes | None,
    *,
    quality: int | None = None,
    dpi: int | None = None,
) -> BinaryIO:
    """The file of `image`: RGB or RGBA, or L for a mask; JPEG and BMP take no RGBA. Open at its start.

    In memory; for a large image, whose file may have 300 MB or more, in an anonymous file on disk. `icc_profile` goes into
    the file byte for byte (BMP, as Pillow writes it, has no room for one: colours are sRGB). An image in mode L stays grey
    in every format, losslessly in all but JPEG. `quality` (1-100) is for JPEG and WebP, `dpi` for PNG and JPEG; None for our
    own. May change the alpha of `image`.
    """
    image.info = {}
    file: BinaryIO = cast(BinaryIO, TemporaryFile()) if is_large(image.size) else io.BytesIO()  # noqa: SIM115 - returned
    try:
        if format == "webp":
            file.write(encode_webp(image, icc_profile, quality))
        elif format == "png":
            write_png(file, image, icc_profile, dpi)
        else:
            settings = dict(_SETTINGS[format])
            if format == "jpeg" and quality is not None:
                settings["quality"] = quality
            if format == "jpeg" and dpi is not None:
                settings["dpi"] = (dpi, dpi)
            image.save(file, format, icc_profile=icc_profile, **settings)
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return file
