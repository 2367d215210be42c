"""The walk through a BMP's headers, and its run-length encoding (Microsoft: Bitmap Storage, Bitmap Compression).

Pillow's decoder for runs is Python, pixel by pixel: 41 kB cost 11 s. Ours takes each run at once, and Pillow is shown an
uncompressed file.
"""

import struct
from dataclasses import dataclass
from functools import partial

from imaging.core.codecs.walk import Data, Part, Walk
from imaging.core.problems import INVALID_IMAGE, ImageRefused, too_complex

_CORE, _OS2 = 12, 64
_HEADERS = (_CORE, 40, 52, 56, _OS2, 108, 124)
_RAW, _RLE8, _RLE4, _BITFIELDS = range(4)
_BITS = (1, 4, 8, 16, 24, 32)
# More would not fit into Pillow's palettes.
_MAX_COLOURS = 256

# An encoder makes a run or a literal of several pixels each: a screenshot of 8 megapixels has some 500,000. Each takes up to
# 0.7 microseconds.
MAX_CODES = 2_000_000
TOO_MANY_CODES = too_complex(
    f"This BMP is run-length encoded in more than {MAX_CODES:,} pieces. Save it uncompressed, or as a PNG, and try again."
)

# Seconds, measured on one core of an EPYC: for a megapixel, and for a megabyte of runs.
_MEGAPIXEL, _MEGABYTE_OF_RUNS = 0.006, 0.3


@dataclass(frozen=True, slots=True)
class _Header:
    """`offset` is where the pixels start, as Pillow finds it; `palette` the range of the palette."""

    size: int
    width: int
    height: int
    bits: int
    compression: int
    offset: int
    palette: tuple[int, int]


def walk(data: Data) -> Walk:
    """Walk through a BMP file. Raises ImageRefused."""
    header = _read_header(data)
    megapixels = header.width * header.height / 1e6
    if header.compression not in (_RLE8, _RLE4):
        return Walk("BMP", header.width, header.height, seconds=megapixels * _MEGAPIXEL, parts=((0, len(data)),))
    runs = min(max(0, len(data) - header.offset) / 1e6, 2 * MAX_CODES / 1e6)
    seconds = megapixels * _MEGAPIXEL + runs * _MEGABYTE_OF_RUNS
    return Walk("BMP", header.width, header.height, seconds=seconds, unpack=partial(_unpack, header))


def _read_header(data: Data) -> _Header:
    start = data[: 14 + 124]
    try:
        (offset,) = struct.unpack_from("<I", start, 10)
        (size,) = struct.unpack_from("<I", start, 14)
        if size == _CORE:
            width, height, _, bits = struct.unpack_from("<HHHH", start, 18)
            compression = colours = 0
        else:
            width, height, _, bits, compression, _, _, _, colours = struct.unpack_from("<IIHHIIIII", start, 18)
    except struct.error:
        raise ImageRefused(INVALID_IMAGE) from None
    if size not in _HEADERS or len(data) < 14 + size or bits not in _BITS:
        raise ImageRefused(INVALID_IMAGE)
    if size != _CORE and start[25] == 0xFF:
        # Stored from the top. Pillow takes the sign from the highest byte.
        height = 2**32 - height
    is_run_length = (compression, bits) in ((_RLE8, 8), (_RLE4, 4))
    if not width or not height or (compression not in (_RAW, _BITFIELDS) and not is_run_length):
        raise ImageRefused(INVALID_IMAGE)
    return _Header(size, width, height, bits, compression, offset, _palette(size, bits, colours))


def _palette(size: int, bits: int, colours: int) -> tuple[int, int]:
    if bits > 8:
        return 14 + size, 14 + size
    if colours > _MAX_COLOURS:
        raise ImageRefused(INVALID_IMAGE)
    return 14 + size, 14 + size + (colours or 1 << bits) * (3 if size == _CORE else 4)


def _unpack(header: _Header, data: Data) -> tuple[Part, ...]:
    """The same image without compression, 8 bits for each pixel."""
    if header.size == _CORE or data[25] == 0xFF:
        # Run-length encoded images are stored from the bottom.
        raise ImageRefused(INVALID_IMAGE)
    rows = unpack_runs(data[header.offset :], header.width, header.height, nibbles=header.compression == _RLE4)
    palette = data[slice(*header.palette)].ljust(4 * _MAX_COLOURS, b"\x00")
    offset = 14 + 40 + len(palette)
    head = b"BM" + struct.pack("<IHHI", offset + len(rows), 0, 0, offset)
    fields = (40, header.width, header.height, 1, 8, _RAW, len(rows), 0, 0, _MAX_COLOURS, 0)
    return head + struct.pack("<IiiHHIIiiII", *fields), palette, rows


def unpack_runs(data: bytes, width: int, height: int, *, nibbles: bool) -> bytes:
    """The rows of palette indexes that `data` encodes, from the bottom up, padded to multiples of 4 as in a BMP file.

    `nibbles` for RLE4, else RLE8. What is left out has index 0; what goes beyond a row is dropped. Raises ImageRefused if
    the data ends before the end of the image, or for more than MAX_CODES codes.
    """
    stride, patterns = (width + 3) // 4 * 4, _NIBBLE_RUNS if nibbles else _BYTE_RUNS
    canvas = bytearray(stride * height)
    end, at, x, y = len(data), 0, 0, 0
    for _ in range(MAX_CODES):
        if y >= height or (at + 2 > end and x >= width and y == height - 1):
            return bytes(canvas)
        if at + 2 > end:
            raise ImageRefused(INVALID_IMAGE)
        count, value = data[at], data[at + 1]
        at += 2
        if count:
            pixels = patterns[value][: min(count, width - x)]
        elif value == _END_OF_ROW:
            x, y = 0, y + 1
            continue
        elif value == _END_OF_IMAGE:
            return bytes(canvas)
        elif value == _DELTA:
            right, up = (data[at], data[at + 1]) if at + 2 <= end else (0, height)
            at, x, y = at + 2, min(x + right, width), y + up
            continue
        else:
            size = (value + 1) // 2 if nibbles else value
            pixels = _literal(data[at : at + size], nibbles=nibbles)[: min(value, width - x)]
            at += size + size % 2
        start = y * stride + x
        canvas[start : start + len(pixels)] = pixels
        x += len(pixels)
    raise ImageRefused(TOO_MANY_CODES)


def _literal(packed: bytes, *, nibbles: bool) -> bytes:
    return packed.hex().encode().translate(_HEXADECIMAL) if nibbles else packed


_END_OF_ROW, _END_OF_IMAGE, _DELTA = range(3)
# The longest run of each value.
_BYTE_RUNS = [bytes((value,)) * 256 for value in range(256)]
_NIBBLE_RUNS = [bytes((value >> 4, value & 15)) * 128 for value in range(256)]
_HEXADECIMAL = bytes.maketrans(b"0123456789abcdef", bytes(range(16)))
