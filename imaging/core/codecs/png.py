"""The walk through a PNG's chunks (W3C PNG, third edition, section 5).

Pillow unpacks every text and reads every chunk, even after the pixels, and refuses the image for any fault in any of them.
It gets only the chunks that define pixels, with all image data in one chunk. Broken chunks that define no pixels are
skipped. In an animation whose default image is not part of it, the first frame is the image.
"""

import struct
import zlib
from functools import partial

from imaging.core.codecs.exif import MAX_EXIF_BYTES, UPRIGHT, orientation_of
from imaging.core.codecs.hdr import MEGAPIXEL as HDR_MEGAPIXEL
from imaging.core.codecs.png_colours import find_colours, is_hdr
from imaging.core.codecs.walk import Colours, Data, Part, Walk
from imaging.core.problems import INVALID_IMAGE, ImageRefused

# Encoders write pixels in chunks of 8 kB and more; 50 MB in chunks of 1 kB are no photograph.
MAX_CHUNKS = 50_000
# There are dozens of texts, palettes and the like at most.
MAX_CHUNKS_BEFORE_PIXELS = 2000

# Allowed bits of a sample by colour type, and samples of a pixel by colour type.
_BITS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_GREY, _RGB, _PALETTE = 0, 2, 3
# The bytes of tRNS that count; for a palette up to one for each colour.
_TRANSPARENCY_BYTES = {_GREY: 2, _RGB: 6, _PALETTE: 1}
_PALETTE_BYTES = 3 * 256
# Chunks read before the pixels, and their allowed lengths; the first valid one of each name counts.
_LENGTHS = {
    b"PLTE": range(1, _PALETTE_BYTES + 1),
    b"tRNS": range(1, 256 + 1),
    b"acTL": range(8, 9),
    b"cICP": range(4, 5),
    b"sRGB": range(1, 2),
    b"gAMA": range(4, 5),
    b"cHRM": range(32, 33),
    b"mDCV": range(24, 25),
    b"cLLI": range(8, 9),
}
# These may be large, and are read later if at all.
_LARGE = (b"iCCP", b"eXIf")
_MAX_HEADER_BYTES = 1024
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHUNK = struct.Struct(">I4s")
_HEAD, _CRC, _SEQUENCE = 8, 4, 4
_CONTROL = struct.Struct(">5I2H2B")
_MAX_FRAMES = 2**31 - 1

# Seconds, measured on one core of an EPYC: for a megabyte of unfiltered rows, and for a megapixel.
_MEGABYTE, _MEGAPIXEL = 0.004, 0.006

Range = tuple[int, int]
Box = tuple[int, int, int, int]


def walk(data: Data) -> Walk:
    """Walk through a PNG file. Raises ImageRefused."""
    chunks = _Chunks(data)
    width, height, bits, colour_type, _, filtering = struct.unpack_from(">IIBBBB", chunks.header)
    if not width or not height or bits not in _BITS.get(colour_type, ()) or filtering:
        raise ImageRefused(INVALID_IMAGE)
    frame, pixels = _shown(chunks, width, height)
    header = struct.pack(">II", frame[2] - frame[0], frame[3] - frame[1]) + chunks.header[8:13]
    parts: list[Part] = [_SIGNATURE, _chunk(b"IHDR", header), *_palette_and_transparency(chunks.small, colour_type)]
    # Pillow does not check the checksum of image data.
    parts += [_CHUNK.pack(sum(end - start for start, end in pixels), b"IDAT"), *pixels, bytes(_CRC), _chunk(b"IEND")]
    row_bytes = (width * _SAMPLES[colour_type] * bits + 7) // 8 + 1
    seconds = height * row_bytes / 1e6 * _MEGABYTE + width * height / 1e6 * _MEGAPIXEL
    if bits == 16 and colour_type == _RGB and b"tRNS" in chunks.small:
        # It is decoded once more for its low bytes.
        seconds *= 2
    if is_hdr(chunks.small):
        seconds += width * height / 1e6 * HDR_MEGAPIXEL
    return Walk(
        "PNG", width, height, chunks.orientation, seconds, tuple(parts),
        frame=None if frame == (0, 0, width, height) else frame,
        colours=partial(_colours, chunks.small, chunks.large.get(b"iCCP")),
    )  # fmt: skip


def _shown(chunks: "_Chunks", width: int, height: int) -> tuple[Box, list[Range]]:
    """The box that is decoded, and the ranges of its data."""
    box = chunks.first_frame.find_box(width, height)
    return ((0, 0, width, height), chunks.pixels) if box is None else (box, chunks.first_frame.pixels)


def _palette_and_transparency(payloads: dict[bytes, bytes], colour_type: int) -> list[bytes]:
    parts = [_chunk(b"PLTE", _full_palette(payloads.get(b"PLTE", b"")))] if colour_type == _PALETTE else []
    needed, transparency = _TRANSPARENCY_BYTES.get(colour_type, 0), payloads.get(b"tRNS", b"")
    if needed and len(transparency) >= needed:
        parts.append(_chunk(b"tRNS", transparency if colour_type == _PALETTE else transparency[:needed]))
    return parts


def _full_palette(palette: bytes) -> bytes:
    """`palette` padded to 256 colours with its last one, as in browsers; Pillow would pad with grey."""
    colours = len(palette) // 3
    if not colours:
        raise ImageRefused(INVALID_IMAGE)
    return palette[: colours * 3] + palette[colours * 3 - 3 : colours * 3] * (256 - colours)


def _colours(payloads: dict[bytes, bytes], profile: Range | None, data: Data) -> Colours:
    return find_colours(payloads, None if profile is None else data[slice(*profile)])


def _chunk(name: bytes, payload: bytes = b"") -> bytes:
    return _CHUNK.pack(len(payload), name) + payload + zlib.crc32(payload, zlib.crc32(name)).to_bytes(_CRC, "big")


class _Chunks:
    """The chunks before and after the image data.

    `header` is the payload of IHDR; `small` are other payloads by name; `large` and `pixels` are ranges of the file.
    """

    def __init__(self, data: Data) -> None:
        self.data = data
        self.header = b""
        self.small: dict[bytes, bytes] = {}
        self.large: dict[bytes, Range] = {}
        self.pixels: list[Range] = []
        self.orientation = UPRIGHT
        self.first_frame = _FirstFrame()
        self._has_default_frame = False
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
                # Anything after it is not part of the image.
                break
            elif self.pixels:
                is_behind = True
                self._take_behind(name, start, end)
            elif number >= MAX_CHUNKS_BEFORE_PIXELS:
                raise ImageRefused(INVALID_IMAGE)
            else:
                self._take(name, start, end)
            position = end + _CRC
        else:
            raise ImageRefused(INVALID_IMAGE)
        if not self.pixels or not self.header:
            raise ImageRefused(INVALID_IMAGE)

    def _take(self, name: bytes, start: int, end: int) -> None:
        """A chunk before the image's data."""
        if not self.header or name == b"IHDR":
            self._take_header(name, start, end)
        elif name in _LENGTHS:
            self._take_small(name, start, end)
        elif name in _LARGE:
            self._take_large(name, start, end)
        elif name == b"fcTL":
            self._has_default_frame = True

    def _take_behind(self, name: bytes, start: int, end: int) -> None:
        if name == b"eXIf":
            # exiftool writes it there.
            self._take_large(name, start, end)
        elif name == b"fcTL" and self._hides_default_image():
            self.first_frame.take_control(self.data[start:end] if self._is_intact(start, end) else b"")
        elif name == b"fdAT" and self._hides_default_image():
            number = int.from_bytes(self.data[start : start + _SEQUENCE], "big")
            self.first_frame.take_data(number, (start + _SEQUENCE, min(end, len(self.data))))

    def _hides_default_image(self) -> bool:
        frames = int.from_bytes(self.small.get(b"acTL", b"")[:4], "big")
        return 0 < frames <= _MAX_FRAMES and not self._has_default_frame

    def _take_header(self, name: bytes, start: int, end: int) -> None:
        is_first = name == b"IHDR" and not self.header
        if not is_first or not 13 <= end - start <= _MAX_HEADER_BYTES or not self._is_intact(start, end):
            raise ImageRefused(INVALID_IMAGE)
        self.header = self.data[start:end]

    def _take_small(self, name: bytes, start: int, end: int) -> None:
        is_intact = end - start in _LENGTHS[name] and self._is_intact(start, end)
        if self.header[9] == _PALETTE:
            if name == b"PLTE" and (name in self.small or not is_intact):
                raise ImageRefused(INVALID_IMAGE)
            if name == b"tRNS" and b"PLTE" not in self.small:
                return
        if is_intact:
            self.small.setdefault(name, self.data[start:end])

    def _take_large(self, name: bytes, start: int, end: int) -> None:
        if name not in self.large and self._is_intact(start, end):
            self.large[name] = start, end
            if name == b"eXIf":
                self.orientation = orientation_of(self.data[start : min(end, start + MAX_EXIF_BYTES)])

    def _is_intact(self, start: int, end: int) -> bool:
        """Whether a chunk's payload is complete and has the right checksum."""
        if end + _CRC > len(self.data):
            return False
        return zlib.crc32(self.data[start - 4 : end]) == int.from_bytes(self.data[end : end + _CRC], "big")


class _FirstFrame:
    """The first frame of an animation whose default image is not part of it (section 11.3.6); `pixels` as in _Chunks."""

    def __init__(self) -> None:
        self.pixels: list[Range] = []
        self._controls: list[bytes] = []
        self._is_broken = False

    def take_control(self, payload: bytes) -> None:
        """The payload of a fcTL chunk, empty if it is broken."""
        if len(self._controls) < 2:
            self._controls.append(payload)

    def take_data(self, number: int, data: Range) -> None:
        """The sequence number of a fdAT chunk, and the range of its data."""
        if len(self._controls) == 1:
            # The control chunk has number 0.
            self._is_broken |= number != len(self.pixels) + 1 or data[0] > data[1]
            self.pixels.append(data)

    def find_box(self, width: int, height: int) -> Box | None:
        """The frame's box in an image of that size; None if there is no frame, or if it is broken."""
        if self._is_broken or not self.pixels or len(self._controls[0]) != _CONTROL.size:
            return None
        number, frame_width, frame_height, left, top, _, _, disposal, blending = _CONTROL.unpack(self._controls[0])
        right, bottom = left + frame_width, top + frame_height
        is_inside = left < right <= width and top < bottom <= height
        return (left, top, right, bottom) if is_inside and number == 0 and disposal <= 2 and blending <= 1 else None
