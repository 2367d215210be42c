"""Reads an image's header without decoding a single pixel, and without any library."""

import dataclasses
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from imaging.core.codecs import bmp, jpeg, png, webp
from imaging.core.codecs.walk import Data, Walk, content_of
from imaging.core.problems import INVALID_IMAGE, ImageRefused

# Enough of a file to find its format, and the size of a BMP.
START_BYTES = 256
# EXIF orientations from this one on swap width and height.
_FIRST_SIDEWAYS = 5


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """Format ("JPEG", "PNG", "WEBP" or "BMP"), size in pixels as stored, and EXIF orientation (1-8)."""

    format: str
    width: int
    height: int
    orientation: int

    @property
    def upright_size(self) -> tuple[int, int]:
        """Width and height once the EXIF orientation is applied."""
        return (self.height, self.width) if self.orientation >= _FIRST_SIDEWAYS else (self.width, self.height)


def read_header(file: BinaryIO) -> ImageHeader:
    """Read `file`'s header in bounded time: milliseconds for any 50 MB.

    Raises ImageRefused if it is none of the allowed formats, or would cost far more to decode than its pixels justify.
    """
    with content_of(file) as data:
        walk = walk_through(data)
    return ImageHeader(walk.format, walk.width, walk.height, walk.orientation)


def walk_through(data: Data) -> Walk:
    """Walk through the file in the format that its first bytes show. Raises ImageRefused."""
    format = find_format(data[:START_BYTES])
    if format is None:
        raise ImageRefused(dataclasses.replace(INVALID_IMAGE, advice=_advice(data[:START_BYTES])))
    return _WALKS[format](data)


def find_format(start: bytes) -> str | None:
    """The format that a file's first START_BYTES bytes announce; None for any that is not allowed."""
    if start.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if start.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if start.startswith(b"RIFF") and start[8:12] == b"WEBP":
        return "WEBP"
    return "BMP" if start.startswith(b"BM") else None


# ISO/IEC 23008-12 and AV1 Image File Format: the brands of a file's first box.
_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_AVIF_BRANDS = (b"avif", b"avis")
CONVERT_HEIC = (
    "HEIC images are not read. Save it as JPEG. An iPhone takes JPEGs with Settings, Camera, Formats, Most Compatible."
)
CONVERT_AVIF = "AVIF images are not read. Save it as JPEG, PNG or WebP."


def _advice(start: bytes) -> str:
    """What to do with a file of a format that we do not read; empty if it is none that we know."""
    if start[4:8] != b"ftyp":
        return ""
    box = start[8 : int.from_bytes(start[:4], "big")]
    brands = [box[at : at + 4] for at in range(0, len(box), 4)]
    if any(brand in _AVIF_BRANDS for brand in brands):
        return CONVERT_AVIF
    return CONVERT_HEIC if any(brand in _HEIC_BRANDS for brand in brands) else ""


_WALKS: dict[str, Callable[[Data], Walk]] = {"JPEG": jpeg.walk, "PNG": png.walk, "WEBP": webp.walk, "BMP": bmp.walk}


def has_bmp_size(start: bytes) -> bool:
    """Whether a BMP's first bytes give a width and a height that are not zero (BITMAPCOREHEADER, or any later one)."""
    core = len(start) >= 26 and int.from_bytes(start[14:18], "little") == 12
    width, height = struct.unpack_from("<HH" if core else "<ii", start.ljust(26, b"\0"), 18)
    return bool(width and height)
