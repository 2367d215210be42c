"""What a picture's header says, read without decoding a single pixel."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from PIL import Image, ImageFile, PngImagePlugin

from imaging.core.problems import ImageRefused, Problem

# Our own limit on both sides, checked before anything is decoded, is stricter than Pillow's on the area (its warning
# starts at 89 megapixels, we allow 100). Set once, at import, since it is a global of every thread.
Image.MAX_IMAGE_PIXELS = None
# Pillow refuses the whole picture if a compressed profile or text chunk holds over 1 MiB. Profiles with fine tables and
# the metadata of image editors do. The 64 MiB that all text chunks together may hold stay.
PngImagePlugin.MAX_TEXT_CHUNK = 8 * 1024 * 1024

INVALID_IMAGE = Problem("image", "invalid_image", "File does not appear to be a valid image (invalid file signature)")

# Enough of a file to tell its format, and the size of a BMP.
START_BYTES = 256

UPRIGHT = 1
# EXIF orientations from this one on swap width and height.
_FIRST_SIDEWAYS = 5
# A picture of 50 MB has a few thousand chunks; one made of empty chunks only would keep us busy for seconds.
_MAX_CHUNKS = 20_000
# Encoders write pixels in chunks of 8 kB and more; 50 MB in chunks of 500 bytes are nobody's photograph.
_MAX_PNG_CHUNKS = 100_000
_MAX_EXIF_BYTES = 1024 * 1024


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
    """Read `file`'s header; raises ImageRefused if it is none of the allowed formats. Allocates no pixels."""
    file.seek(0)
    start = file.read(30)
    format = _format_of(start)
    if format == "WEBP":
        width, height = _webp_size(start)
        return ImageHeader(format, width, height, _orientation(_webp_exif(file)))
    if format == "PNG":
        _check_png_profiles(file)
    image = open_lazily(file, format)
    exif = _png_exif(file) if format == "PNG" else image.info.get("exif", b"")
    return ImageHeader(format, *image.size, _orientation(exif))


def find_format(start: bytes) -> str | None:
    """The format that a file's first START_BYTES bytes announce; None for any that is not allowed."""
    try:
        return _format_of(start)
    except ImageRefused:
        return None


def has_bmp_size(start: bytes) -> bool:
    """Whether a BMP's first bytes give a width and a height that are not zero (BITMAPCOREHEADER, or any later one)."""
    core = len(start) >= 26 and int.from_bytes(start[14:18], "little") == 12
    width, height = struct.unpack_from("<HH" if core else "<ii", start.ljust(26, b"\0"), 18)
    return bool(width and height)


def open_lazily(file: BinaryIO, format: str) -> ImageFile.ImageFile:
    """Open `file` with the one decoder of `format`; raises ImageRefused. No pixels yet, but for WebP (_webp_size)."""
    try:
        file.seek(0)
        return Image.open(file, formats=[format])
    except MemoryError:
        raise
    except Exception as error:
        # Malformed headers make Pillow's parsers raise anything at all: OSError, SyntaxError, ValueError, struct.error,
        # EOFError, zlib.error, OverflowError, AttributeError ... They read nothing but this file.
        raise ImageRefused(INVALID_IMAGE) from error


def _format_of(start: bytes) -> str:
    if start.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if start.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if start.startswith(b"RIFF") and start[8:12] == b"WEBP":
        return "WEBP"
    if start.startswith(b"BM"):
        return "BMP"
    raise ImageRefused(INVALID_IMAGE)


def _webp_size(start: bytes) -> tuple[int, int]:
    """Width and height from the first 30 bytes, by RFC 9649 (VP8X, VP8L) and RFC 6386, section 9.1 (VP8).

    Not through Pillow: its WebP plugin makes an animation decoder on opening, which allocates two whole canvases.
    """
    kind = start[12:16]
    if kind == b"VP8X" and len(start) == 30:
        return int.from_bytes(start[24:27], "little") + 1, int.from_bytes(start[27:30], "little") + 1
    if kind == b"VP8 " and len(start) == 30 and start[23:26] == b"\x9d\x01\x2a":
        width, height = struct.unpack_from("<HH", start, 26)
        if width & 0x3FFF and height & 0x3FFF:
            return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L" and len(start) >= 25 and start[20] == 0x2F:
        bits = int.from_bytes(start[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    raise ImageRefused(INVALID_IMAGE)


def _check_png_profiles(file: BinaryIO) -> None:
    """Refuse a PNG with several colour profiles: the format allows one, and each that Pillow unpacks may take 8 MiB."""
    profiles = 0
    for number, (name, _) in enumerate(_png_chunks(file)):
        profiles += name == b"iCCP"
        if profiles > 1 or number > _MAX_PNG_CHUNKS:
            raise ImageRefused(INVALID_IMAGE)


def _webp_exif(file: BinaryIO) -> bytes:
    return _find_chunk(file, b"EXIF", _riff_chunks(file))


def _png_exif(file: BinaryIO) -> bytes:
    # The chunk may stand behind the pixels: exiftool puts it there, and Pillow sees it only after it has decoded.
    return _find_chunk(file, b"eXIf", _png_chunks(file))


def _find_chunk(file: BinaryIO, wanted: bytes, chunks: Iterator[tuple[bytes, int]]) -> bytes:
    """The payload of the first chunk named `wanted`, or nothing."""
    for _, (name, length) in zip(range(_MAX_CHUNKS), chunks, strict=False):
        if name == wanted:
            return file.read(min(length, _MAX_EXIF_BYTES))
    return b""


def _riff_chunks(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Name and length of each chunk of a WebP file, `file` standing at the payload."""
    position = 12
    while file.seek(position) == position and len(head := file.read(8)) == 8:
        length = int.from_bytes(head[4:], "little")
        yield head[:4], length
        position += 8 + length + length % 2


def _png_chunks(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Name and length of each chunk of a PNG file, `file` standing at the payload."""
    position = 8
    while file.seek(position) == position and len(head := file.read(8)) == 8:
        length = int.from_bytes(head[:4], "big")
        yield head[4:], length
        position += 12 + length


_ORIENTATION_TAG = 0x0112
_SHORT, _LONG = 3, 4


def _orientation(exif: bytes) -> int:
    """The orientation (1-8) in an EXIF block, with or without its `Exif` prefix; 1 if it has none or is broken.

    Ours rather than Pillow's, which reads every tag, warns about broken ones, and falls back on XMP (no browser does).
    """
    tiff = exif.removeprefix(b"Exif\x00\x00")
    order = {b"II*\x00": "<", b"MM\x00*": ">"}.get(tiff[:4])
    if order is None:
        return UPRIGHT
    try:
        return _tiff_orientation(tiff, order)
    except struct.error:
        return UPRIGHT


def _tiff_orientation(tiff: bytes, order: str) -> int:
    (directory,) = struct.unpack_from(f"{order}I", tiff, 4)
    (count,) = struct.unpack_from(f"{order}H", tiff, directory)
    for index in range(count):
        entry = directory + 2 + 12 * index
        tag, kind = struct.unpack_from(f"{order}HH", tiff, entry)
        if tag == _ORIENTATION_TAG and kind in (_SHORT, _LONG):
            (value,) = struct.unpack_from(f"{order}{'H' if kind == _SHORT else 'I'}", tiff, entry + 8)
            return value if 1 <= value <= 8 else UPRIGHT
    return UPRIGHT
