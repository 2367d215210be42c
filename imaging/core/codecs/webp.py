"""The walk through a WebP's chunks (RFC 9649).

Only the first frame of an animation is passed on: libwebp goes through all of them on opening.
"""

import struct
from collections.abc import Iterator

from imaging.core.codecs.exif import MAX_EXIF_BYTES, UPRIGHT, orientation_of
from imaging.core.codecs.walk import Data, Part, Walk
from imaging.core.problems import INVALID_IMAGE, ImageRefused

# Chunks after this many are ignored.
MAX_CHUNKS = 20_000
_STILL = (b"ALPH", b"VP8 ", b"VP8L")
_ANIMATED = (b"ANIM", b"ANMF")
# Flags of VP8X: the ones kept, and the animation flag. EXIF and XMP are dropped.
_KEPT_FLAGS, _ANIMATION = 0x32, 0x02

# Seconds for a megapixel and for a megabyte, measured on one core of an EPYC.
_MEGAPIXEL, _MEGABYTE = 0.02, 0.05


def walk(data: Data) -> Walk:
    """Walk through a WebP file. Raises ImageRefused."""
    start = data[:30]
    width, height = _size(start)
    chunks, orientation = _extended(data, start) if start[12:16] == b"VP8X" else _simple(data)
    length = sum(len(part) if isinstance(part, bytes) else part[1] - part[0] for part in chunks)
    parts = (b"RIFF" + struct.pack("<I", length + 4) + b"WEBP", *chunks)
    seconds = width * height / 1e6 * _MEGAPIXEL + length / 1e6 * _MEGABYTE
    return Walk("WEBP", width, height, orientation, seconds, parts)


def _size(start: bytes) -> tuple[int, int]:
    """Width and height from the first 30 bytes, by RFC 9649 (VP8X, VP8L) and RFC 6386, section 9.1 (VP8)."""
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


def _simple(data: Data) -> tuple[list[Part], int]:
    _, start, end = next(_chunks(data))
    parts = _whole(data, start - 8, end)
    orientation = UPRIGHT
    for other, payload, other_end in _chunks(data):
        if other == b"EXIF":
            # Not allowed without VP8X, but it occurs.
            orientation = orientation_of(data[payload : min(other_end, payload + MAX_EXIF_BYTES)])
            break
    return parts, orientation


def _extended(data: Data, start: bytes) -> tuple[list[Part], int]:
    flags = start[20]
    wanted = {b"ICCP", *(_ANIMATED if flags & _ANIMATION else _STILL)}
    parts: list[Part] = [start[12:20] + bytes((flags & _KEPT_FLAGS,)) + start[21:30]]
    orientation, has_exif = UPRIGHT, False
    for name, payload, end in _chunks(data):
        if name in wanted:
            wanted.remove(name)
            parts += _whole(data, payload - 8, end)
            if name in (b"VP8 ", b"VP8L"):
                wanted -= {b"ALPH", b"VP8 ", b"VP8L"}
        elif name == b"EXIF" and not has_exif:
            has_exif = True
            orientation = orientation_of(data[payload : min(end, payload + MAX_EXIF_BYTES)])
    return parts, orientation


def _whole(data: Data, start: int, end: int) -> list[Part]:
    """A chunk, with zeros for missing padding or a missing last byte, which decoders tolerate."""
    missing = max(0, end - len(data))
    has_padding = data[start + 4] & 1
    return [(start, end - missing), *([bytes(missing)] if 0 < missing <= 1 + has_padding else [])]


def _chunks(data: Data) -> Iterator[tuple[bytes, int, int]]:
    """Name of each chunk, start of its payload, and its end with the padding, which may be past the end of the file."""
    position = 12
    for _ in range(MAX_CHUNKS):
        head = data[position : position + 8]
        if len(head) < 8:
            return
        length = int.from_bytes(head[4:], "little")
        end = position + 8 + length + length % 2
        yield head[:4], position + 8, end
        position = end
