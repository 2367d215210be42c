"""The walk through a BMP's headers, and every BMP variant that Pillow does not decode (Microsoft: Bitmap Storage; OS/2 2.0).

Pillow knows a few layouts of bit fields, not every header, and decodes runs in Python, pixel by pixel: 41 kB cost 11 s. It
gets an equivalent plain file instead. Where the format is vague, we follow Chromium.
"""

import struct
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imaging.core.codecs.walk import Colours, Data, Part, Walk
from imaging.core.problems import INVALID_IMAGE, ImageRefused, too_complex

_FILE_HEADER, _CORE, _INFO, _MASKED, _ALPHA_MASKED, _V4, _V5 = 14, 12, 40, 52, 56, 108, 124
_WINDOWS = (_INFO, _MASKED, _ALPHA_MASKED, _V4, _V5)
# OS/2 2.0 may omit any of the fields after the first 16 bytes.
_OS2 = {size for size in (*range(16, 65, 4), 42, 46) if size not in _WINDOWS}
# After a header of 40 bytes, the masks are at the same offset as in longer headers.
_MASKS_AT, _PROFILE_AT, _EMBEDDED_PROFILE = 54, 126, b"DEBM"

_RAW, _RLE8, _RLE4, _BITFIELDS, _RLE24, _ALPHA_BITFIELDS = 0, 1, 2, 3, 4, 6
_RUN_BITS = {_RLE8: 8, _RLE4: 4, _RLE24: 24}
_BITS = (1, 2, 4, 8, 16, 24, 32)
_PALETTE_BITS = 8
# Red, green, blue and alpha: default masks for 16 and for 32 bits, and the shifts in the file that Pillow gets.
_MASKS_16 = (0x7C00, 0x3E0, 0x1F, 0)
_MASKS_32 = (0xFF0000, 0xFF00, 0xFF, 0)
_PLACES = (16, 8, 0, 24)
_OPAQUE = np.uint32(0xFF000000)
_STRIP_PIXELS = 1_000_000

# An encoder makes a run or a literal of several pixels each: a screenshot of 8 megapixels has some 500,000. Each takes up to
# 0.9 microseconds.
MAX_CODES = 2_000_000
TOO_MANY_CODES = too_complex(
    f"This BMP is run-length encoded in more than {MAX_CODES:,} pieces. Save it uncompressed, or as a PNG, and try again."
)

# Seconds, measured on one core of an EPYC: for a plain megapixel, for a converted one, for a megabyte of runs.
_MEGAPIXEL, _CONVERTED_MEGAPIXEL, _MEGABYTE_OF_RUNS = 0.006, 0.02, 0.4


@dataclass(frozen=True, slots=True)
class _Header:
    """`height` is as shown; `offset` is where the pixels start; `palette` and `profile` are ranges of the file."""

    width: int
    height: int
    from_top: bool
    bits: int
    compression: int
    masks: tuple[int, int, int, int]
    offset: int
    data_bytes: int
    palette: tuple[int, int]
    palette_entry: int
    profile: tuple[int, int] | None

    @property
    def is_plain(self) -> bool:
        """Whether Pillow can decode the rows unchanged."""
        return self.compression == _RAW and (self.bits in (1, 4, 8, 24) or (self.bits == 32 and not self.masks[3]))

    @property
    def stride(self) -> int:
        """Bytes of a row, padded to a multiple of 4."""
        return (self.width * self.bits + 31) // 32 * 4


def walk(data: Data) -> Walk:
    """Walk through a BMP file. Raises ImageRefused."""
    header = _read_header(data)
    megapixels = header.width * header.height / 1e6
    seconds = megapixels * (_MEGAPIXEL if header.is_plain else _CONVERTED_MEGAPIXEL)
    if header.compression in _RUN_BITS:
        seconds += min(max(0, len(data) - header.offset) / 1e6, 2 * MAX_CODES / 1e6) * _MEGABYTE_OF_RUNS
    colours = None if header.profile is None else partial(_colours, header.profile)
    return Walk("BMP", header.width, header.height, seconds=seconds, unpack=partial(_unpack, header), colours=colours)


def _colours(profile: tuple[int, int], data: Data) -> Colours:
    return Colours(data[slice(*profile)])


def _read_header(data: Data) -> _Header:
    start = data[: _FILE_HEADER + _V5]
    size = int.from_bytes(start[14:18], "little")
    if size not in (_CORE, *_WINDOWS, *_OS2) or len(start) < _FILE_HEADER + size:
        raise ImageRefused(INVALID_IMAGE)
    # A shorter header leaves its last fields zero.
    fields = start[: _FILE_HEADER + size].ljust(_FILE_HEADER + _V5, b"\0")
    if size == _CORE:
        width, height, _, bits = struct.unpack_from("<HHHH", fields, 18)
        compression = data_bytes = colours = 0
    else:
        width, height, _, bits, compression, data_bytes, _, _, colours = struct.unpack_from("<IiHHIIIII", fields, 18)
    masks = _read_masks(start, size, bits, compression)
    if not width or not height or bits not in _BITS or masks is None:
        raise ImageRefused(INVALID_IMAGE)
    entry = 3 if size == _CORE else 4
    palette, offset = _places(int.from_bytes(start[10:14], "little"), size, bits, compression, colours, entry)
    profile = _find_profile(fields, len(data)) if size == _V5 else None
    return _Header(
        width, abs(height), height < 0, bits, compression, masks, offset, data_bytes, palette, entry, profile
    )  # fmt: skip


def _read_masks(start: bytes, size: int, bits: int, compression: int) -> tuple[int, int, int, int] | None:
    """The masks of red, green, blue and alpha; None for an unsupported compression."""
    default = _MASKS_16 if bits == 16 else _MASKS_32
    if compression == _RAW:
        # An alpha mask counts without colour masks only in the newest headers, and only with 32 bits.
        alpha = struct.unpack_from("<I", start, _MASKS_AT + 12)[0] if size >= _V4 and bits == 32 else 0
        return (*default[:3], alpha)
    if compression in (_BITFIELDS, _ALPHA_BITFIELDS) and size in _WINDOWS and bits in (16, 24, 32):
        stored = struct.unpack_from("<4I", start.ljust(_MASKS_AT + 16, b"\0"), _MASKS_AT)
        has_alpha = size >= _ALPHA_MASKED or compression == _ALPHA_BITFIELDS
        red, green, blue, alpha = (mask & ((1 << bits) - 1) for mask in stored)
        masks = (red, green, blue, alpha if has_alpha else 0)
        if not all(_is_contiguous(mask) for mask in masks):
            return None
        return masks if red or green or blue else default
    # The value for RLE24 in OS/2 means an embedded JPEG in Windows.
    is_run_length = _RUN_BITS.get(compression) == bits and (compression != _RLE24 or size in _OS2)
    return default if is_run_length else None


def _is_contiguous(mask: int) -> bool:
    lowest = mask & -mask
    return not mask & (mask + lowest)


def _places(
    offset: int, size: int, bits: int, compression: int, colours: int, entry: int
) -> tuple[tuple[int, int], int]:  # fmt: skip
    """The range of the palette, and where the pixels start."""
    start = _FILE_HEADER + size
    if bits > _PALETTE_BITS:
        masks = {_BITFIELDS: 12, _ALPHA_BITFIELDS: 16}.get(compression, 0) if size == _INFO else 0
        return (start, start), offset or start + masks + colours * entry
    most = 1 << bits
    end = start + min(colours or most, most) * entry
    if offset in (0, start):
        # Some writers leave it out, or forget the palette.
        offset = start + (colours or most) * entry
    return (start, min(end, offset) if offset > start else end), offset


def _find_profile(fields: bytes, file_bytes: int) -> tuple[int, int] | None:
    """The range of an embedded profile. Chromium ignores every other colour description, such as endpoints and gamma."""
    start, length = struct.unpack_from("<II", fields, _PROFILE_AT)
    start += _FILE_HEADER
    is_there = fields[70:74] == _EMBEDDED_PROFILE and length and start + length <= file_bytes
    return (start, start + length) if is_there else None


def _unpack(header: _Header, data: Data) -> tuple[Part, ...]:
    """The same image as a file that Pillow decodes. Raises ImageRefused."""
    if header.compression in _RUN_BITS:
        return _unpack_runs(header, data)
    whole = header.offset + header.stride * header.height
    missing = max(0, whole - len(data))
    padding = header.stride - (header.width * header.bits + 7) // 8
    # A file that lacks more than its last pixel, or a whole row, is truncated.
    if missing > min(padding + max(1, header.bits // 8), header.stride - 1):
        raise ImageRefused(INVALID_IMAGE)
    rows = ((header.offset, whole - missing), bytes(missing))
    if header.is_plain:
        return _file(header, header.bits, *rows, palette=_palette(header, data))
    stored = np.frombuffer(data[header.offset : whole].ljust(whole - header.offset, b"\0"), np.uint8)
    stored = stored.reshape(header.height, header.stride)
    if header.bits == 2:
        return _indexed_file(header, _two_bits(stored)[:, : header.width], _palette(header, data))
    pixels, has_alpha = _from_masks(_values(stored, header), header)
    return _file(header, 32, pixels.tobytes(), has_alpha=has_alpha)


def _palette(header: _Header, data: Data) -> bytes:
    """The colours of every index, 4 bytes each, black where the file has none; empty without a palette."""
    if header.bits > _PALETTE_BITS:
        return b""
    stored = data[slice(*header.palette)]
    colours = [stored[at : at + 3] for at in range(0, len(stored), header.palette_entry)]
    return b"".join(colour.ljust(4, b"\0") for colour in colours).ljust(4 << header.bits, b"\0")


def _file(header: _Header, bits: int, *rows: Part, palette: bytes = b"", has_alpha: bool = False) -> tuple[Part, ...]:
    """A BMP file with 1, 4, 8, 24 or 32 bits for each pixel, whose rows are stored as those of `header` are."""
    size = sum(len(part) if isinstance(part, bytes) else part[1] - part[0] for part in rows)
    offset = _FILE_HEADER + _ALPHA_MASKED + len(palette)
    height = -header.height if header.from_top else header.height
    compression, masks = (_BITFIELDS, (*_MASKS_32[:3], 0xFF000000)) if has_alpha else (_RAW, (0, 0, 0, 0))
    head = struct.pack("<2sIHHI", b"BM", offset + size, 0, 0, offset)
    fields = (_ALPHA_MASKED, header.width, height, 1, bits, compression, size, 0, 0, len(palette) // 4, 0, *masks)
    return head + struct.pack("<IiiHHIIiiII4I", *fields), palette, *rows


def _indexed_file(header: _Header, indexes: NDArray[np.uint8], palette: bytes) -> tuple[Part, ...]:
    rows = np.pad(indexes, ((0, 0), (0, -header.width % 4)))
    return _file(header, 8, rows.tobytes(), palette=palette.ljust(4 * 256, b"\0"))


def _two_bits(stored: NDArray[np.uint8]) -> NDArray[np.uint8]:
    shifts = np.array((6, 4, 2, 0), np.uint8)
    return (stored[..., None] >> shifts & np.uint8(3)).reshape(len(stored), -1)


def _values(stored: NDArray[np.uint8], header: _Header) -> NDArray[Any]:
    """The pixels of `stored` rows as numbers of 16 or 32 bits."""
    if header.bits != 24:
        return stored.view("<u2" if header.bits == 16 else "<u4")[:, : header.width]
    bands = stored[:, : 3 * header.width].reshape(header.height, header.width, 3)
    values: NDArray[Any] = np.pad(bands, ((0, 0), (0, 0), (0, 1))).view("<u4")[..., 0]
    return values


def _from_masks(values: NDArray[Any], header: _Header) -> tuple[NDArray[np.uint32], bool]:
    """Blue, green, red and alpha of each pixel in the bytes of a number, and whether alpha is used.

    Alpha that is zero everywhere was never set: such an image is opaque.
    """
    red, green, blue, alpha = header.masks
    has_alpha = bool(alpha) and bool(np.bitwise_or.reduce(values, axis=None) & alpha)
    masks = (red, green, blue, alpha if has_alpha else 0)
    if header.bits == 16:
        return _from_fields(np.arange(1 << 16, dtype="<u4"), masks)[values], has_alpha
    pixels = np.empty(values.shape, "<u4")
    rows = max(1, _STRIP_PIXELS // header.width)
    for top in range(0, header.height, rows):
        pixels[top : top + rows] = _from_fields(values[top : top + rows], masks)
    return pixels, has_alpha


def _from_fields(values: NDArray[Any], masks: tuple[int, ...]) -> NDArray[np.uint32]:
    pixels = np.zeros(values.shape, "<u4") if masks[3] else np.full(values.shape, _OPAQUE, "<u4")
    for mask, place in zip(masks, _PLACES, strict=True):
        if mask:
            shift = (mask & -mask).bit_length() - 1
            pixels |= _eight_bits((values & np.uint32(mask)) >> np.uint32(shift), (mask >> shift).bit_length()) << place
    return pixels


def _eight_bits(samples: NDArray[np.uint32], bits: int) -> NDArray[np.uint32]:
    if bits >= 8:
        return samples >> np.uint32(bits - 8)
    top = (1 << bits) - 1
    table: NDArray[np.uint32] = ((np.arange(top + 1) * 255 + top // 2) // top).astype("<u4")
    return table[samples]


def _unpack_runs(header: _Header, data: Data) -> tuple[Part, ...]:
    runs = unpack_runs(data[header.offset :], header.width, header.height, _RUN_BITS[header.compression])
    if runs.end and header.offset + header.data_bytes > len(data):
        # The file was truncated.
        raise ImageRefused(INVALID_IMAGE)
    palette = _palette(header, data)
    shape = (header.height, header.width)
    if header.bits != 24 and not runs.gaps:
        return _indexed_file(header, np.frombuffer(runs.canvas, np.uint8).reshape(shape), palette)
    if header.bits == 24:
        pixels = np.full((len(runs.canvas) // 3, 4), 255, np.uint8)
        pixels[:, :3] = np.frombuffer(runs.canvas, np.uint8).reshape(-1, 3)
        colours = pixels.view("<u4")[:, 0]
    else:
        table = np.frombuffer(palette.ljust(4 * 256, b"\0"), "<u4") | _OPAQUE
        colours = table[np.frombuffer(runs.canvas, np.uint8)]
    _fill_gaps(colours, runs)
    return _file(header, 32, colours.tobytes(), has_alpha=runs.end is not None)


@dataclass(frozen=True, slots=True)
class Runs:
    """A byte (an index) or 3 (blue, green, red) for each pixel of `canvas`, row by row as stored, without padding.

    `gaps` are ranges of skipped pixels. `end` is the pixel at which the data ended too early; None if it did not.
    """

    canvas: bytearray
    gaps: list[tuple[int, int]]
    end: int | None


def _fill_gaps(colours: NDArray[np.uint32], runs: Runs) -> None:
    """Make skipped pixels black, and those after a premature end transparent, as Chromium does."""
    starts, ends = np.array(runs.gaps, np.int64).reshape(-1, 2).T
    steps = np.zeros(len(colours) + 1, np.int8)
    steps[starts] += 1
    steps[ends] -= 1
    colours[np.cumsum(steps[:-1], dtype=np.int8, out=steps[:-1]).view(bool)] = _OPAQUE
    if runs.end is not None:
        colours[runs.end :] = 0


def unpack_runs(data: bytes, width: int, height: int, bits: int) -> Runs:
    """Decode `data`: RLE4, RLE8 or RLE24, by `bits`. Pixels beyond the end of a row are dropped.

    Raises ImageRefused if the data ends before the first row does, or for more than MAX_CODES codes.
    """
    depth, piece, end = bits // 24 * 2 + 1, _PIECES[bits], len(data)
    canvas, gaps = bytearray(width * height * depth), []
    at = x = y = done = 0
    for _ in range(MAX_CODES):
        if y >= height or at + 2 > end:
            break
        value = data[at + 1]
        if data[at] or value > _DELTA:
            pixels, at = piece(data, at)
            start = y * width + x
            if start != done:
                gaps.append((done, start))
            drawn = min(len(pixels) // depth, width - x)
            canvas[start * depth : (start + drawn) * depth] = pixels[: drawn * depth]
            x, done = x + drawn, start + drawn
        elif value == _END_OF_ROW:
            at, x, y = at + 2, 0, y + 1
        elif value == _END_OF_IMAGE:
            y = height
        else:
            right, up = data[at + 2 : at + 4] if at + 4 <= end else (0, 0)
            at, x, y = at + 4, min(x + right, width), y + up
    else:
        raise ImageRefused(TOO_MANY_CODES)
    return _ended(canvas, gaps, done, (width, height), (x, y))


def _ended(canvas: bytearray, gaps: list[tuple[int, int]], done: int, size: tuple[int, int], at: tuple[int, int]) -> Runs:
    (width, height), (x, y) = size, at
    if done < width * height:
        gaps.append((done, width * height))
    # An incomplete row does not count.
    rows = y + (x >= width)
    if not rows:
        raise ImageRefused(INVALID_IMAGE)
    return Runs(canvas, gaps, None if rows >= height else rows * width)


def _bytes_piece(data: bytes, at: int) -> tuple[bytes, int]:
    """The pixels of the run or literal whose code is at `at`, and the position of the next code."""
    count, value = data[at], data[at + 1]
    if count:
        return _BYTE_RUNS[value][:count], at + 2
    return data[at + 2 : at + 2 + value], at + 2 + value + value % 2


def _nibbles_piece(data: bytes, at: int) -> tuple[bytes, int]:
    count, value = data[at], data[at + 1]
    if count:
        return _NIBBLE_RUNS[value][:count], at + 2
    size = (value + 1) // 2
    pixels = data[at + 2 : at + 2 + size].hex().encode().translate(_HEXADECIMAL)[:value]
    return pixels, at + 2 + size + size % 2


def _colours_piece(data: bytes, at: int) -> tuple[bytes, int]:
    count = data[at]
    if count:
        return data[at + 1 : at + 4] * count, at + 4
    size = 3 * data[at + 1]
    return data[at + 2 : at + 2 + size], at + 2 + size + size % 2


_PIECES = {8: _bytes_piece, 4: _nibbles_piece, 24: _colours_piece}
_END_OF_ROW, _END_OF_IMAGE, _DELTA = range(3)
# The longest run of each value.
_BYTE_RUNS = [bytes((value,)) * 256 for value in range(256)]
_NIBBLE_RUNS = [bytes((value >> 4, value & 15)) * 128 for value in range(256)]
_HEXADECIMAL = bytes.maketrans(b"0123456789abcdef", bytes(range(16)))
