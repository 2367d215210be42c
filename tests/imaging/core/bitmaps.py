"""BMP files of every kind, from their packed rows."""

import struct

import numpy as np

CORE, OS2_SHORT, INFO, MASKED, ALPHA_MASKED, OS2, V4, V5 = 12, 16, 40, 52, 56, 64, 108, 124
RAW, RLE8, RLE4, BITFIELDS, RLE24, ALPHA_BITFIELDS = 0, 1, 2, 3, 4, 6
CALIBRATED, SRGB, EMBEDDED = 0, 0x73524742, 0x4D424544


def bitmap(
    size: tuple[int, int],
    bits: int,
    data: bytes,
    *,
    header: int = INFO,
    compression: int = RAW,
    masks: tuple[int, ...] = (),
    palette: bytes = b"",
    colours: int | None = None,
    offset: int | None = None,
    gap: int = 0,
    from_top: bool = False,
    colour_space: int = SRGB,
    colours_of_space: bytes = b"",
    profile: bytes = b"",
) -> bytes:
    """A BMP file. `data` are its pixels as stored; `gap` bytes precede them, and a profile follows them."""
    width, height = size
    count = len(palette) // 4 if colours is None else colours
    fields = (width, -height if from_top else height, 1, bits, compression, len(data), 2835, 2835, count, 0)
    head = struct.pack("<IiiHHIIiiII", header, *fields)
    if header == CORE:
        head = struct.pack("<IHHHH", header, width, height, 1, bits)
    elif header in (MASKED, ALPHA_MASKED, V4, V5):
        head += struct.pack("<4I", *(*masks, 0, 0, 0, 0)[:4]) + struct.pack("<I", colour_space)
        head += colours_of_space.ljust(48, b"\0")
        place = header + len(palette) + gap + len(data)
        head += struct.pack("<4I", 4, place if profile else 0, len(profile), 0)
    head = head.ljust(header, b"\0")[:header]
    if header == INFO:
        head += struct.pack(f"<{len(masks)}I", *masks)
    at = 14 + len(head) + len(palette) + gap
    start = b"BM" + struct.pack("<IHHI", at + len(data) + len(profile), 0, 0, at if offset is None else offset)
    return start + head + palette + bytes(gap) + data + profile


def rows_of(pixels: np.ndarray) -> bytes:
    """The rows of `pixels`, any numbers, as a BMP stores them: bottom-up, padded."""
    rows = [row.tobytes() for row in pixels[::-1]]
    return b"".join(row + bytes(-len(row) % 4) for row in rows)
