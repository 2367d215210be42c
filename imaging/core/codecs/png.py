"""The walk through a PNG's chunks (W3C PNG, third edition, section 5).

Pillow unpacks every text and reads every chunk, those behind the pixels too. Shown are only the chunks that make pixels and
colours, with all data of the image in one.
"""

import struct
import zlib

from imaging.core.codecs.exif import MAX_EXIF_BYTES, UPRIGHT, orientation_of
from imaging.core.codecs.walk import Data, Part, Walk
from imaging.core.problems import INVALID_IMAGE, ImageRefused

# Encoders write pixels in chunks of 8 kB and more; 50 MB in chunks of 1 kB are no photograph.
MAX_CHUNKS = 50_000
# Texts, palettes and the like come by the dozen.
MAX_CHUNKS_BEFORE_PIXELS = 2000

# Allowed bits of a sample by colour type, and samples of a pixel by colour type.
_BITS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
# What is shown, and the most bytes that each may hold; none may come twice.
_KEPT = {b"IHDR": 1024, b"PLTE": 3 * 256, b"tRNS": 256, b"iCCP": 50 * 1024 * 1024}
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_IEND = b"\x00\x00\x00\x00IEND\xaeB`\x82"
_CHUNK = struct.Struct(">I4s")
_HEAD, _CRC = 8, 4

# Seconds, measured on one core of an EPYC: for a megabyte of unfiltered rows, and for a megapixel.
_MEGABYTE, _MEGAPIXEL = 0.004, 0.006


def walk(data: Data) -> Walk:
    """Walk through a PNG file. Raises ImageRefused."""
    chunks = _Chunks(data)
    width, height, bits, colour_type, _, filtering = struct.unpack_from(">IIBBBB", chunks.header)
    if not width or not height or bits not in _BITS.get(colour_type, ()) or filtering:
        raise ImageRefused(INVALID_IMAGE)
    row_bytes = (width * _SAMPLES[colour_type] * bits + 7) // 8 + 1
    seconds = height * row_bytes / 1e6 * _MEGABYTE + width * height / 1e6 * _MEGAPIXEL
    pixels = sum(end - start for start, end in chunks.pixels)
    parts: list[Part] = [_SIGNATURE, *chunks.kept, struct.pack(">I4s", pixels, b"IDAT"), *chunks.pixels]
    # Pillow does not check the sum of image data.
    return Walk("PNG", width, height, chunks.orientation, seconds, (*parts, bytes(_CRC), _IEND))


class _Chunks:
    """`header` is the payload of IHDR; `kept` and `pixels` are ranges of the file, the latter those of the image's data."""

    def __init__(self, data: Data) -> None:
        self.data = data
        self.header = b""
        self.kept: list[tuple[int, int]] = []
        self.pixels: list[tuple[int, int]] = []
        self.orientation = UPRIGHT
        self._seen: set[bytes] = set()
        self._walk()

    def _walk(self) -> None:
        data, size, unpack = self.data, len(self.data), _CHUNK.unpack_from
        position, is_behind = len(_SIGNATURE), False
        for number in range(MAX_CHUNKS + 1):
            if position + _HEAD > size:
                break
            length, name = unpack(data, position)
            start, end = position + _HEAD, position + _HEAD + length
            if name == b"IDAT":
                if not is_behind:
                    self.pixels.append((start, min(end, size)))
            elif name == b"IEND":
                # Whatever is behind it is no part of the image.
                break
            elif self.pixels:
                is_behind = True
                self._take_exif(name, start, end)
            elif number >= MAX_CHUNKS_BEFORE_PIXELS:
                raise ImageRefused(INVALID_IMAGE)
            else:
                self._take(name, position, end)
            position = end + _CRC
        else:
            raise ImageRefused(INVALID_IMAGE)
        if not self.pixels or not self.header:
            raise ImageRefused(INVALID_IMAGE)

    def _take(self, name: bytes, position: int, end: int) -> None:
        """A chunk before the image's data."""
        start = position + _HEAD
        self._check(name, start, end)
        if not self.header:
            self.header = self.data[start:end]
            if name != b"IHDR" or len(self.header) < 13:
                raise ImageRefused(INVALID_IMAGE)
        if name in _KEPT:
            if name in self._seen or end - start > _KEPT[name]:
                raise ImageRefused(INVALID_IMAGE)
            self._seen.add(name)
            self.kept.append((position, end + _CRC))
        self._take_exif(name, start, end)

    def _check(self, name: bytes, start: int, end: int) -> None:
        if not name.isalnum() or end + _CRC > len(self.data):
            raise ImageRefused(INVALID_IMAGE)
        if zlib.crc32(self.data[start - 4 : end]) != int.from_bytes(self.data[end : end + _CRC], "big"):
            raise ImageRefused(INVALID_IMAGE)

    def _take_exif(self, name: bytes, start: int, end: int) -> None:
        # It may stand behind the pixels: exiftool puts it there. The first one counts.
        if name == b"eXIf" and name not in self._seen:
            self._seen.add(name)
            self.orientation = orientation_of(self.data[start : min(end, start + MAX_EXIF_BYTES)])
