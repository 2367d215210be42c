"""The only EXIF field that matters here: the orientation."""

import struct

UPRIGHT = 1
# More than any camera writes. The rest is not read.
MAX_EXIF_BYTES = 1024 * 1024
# The tags of a directory are sorted, and this one is among the first; cameras write up to a hundred or so.
_MAX_TAGS = 1000
_ORIENTATION_TAG = 0x0112
_SHORT, _LONG = 3, 4


def orientation_of(exif: bytes) -> int:
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
    for index in range(min(count, _MAX_TAGS)):
        entry = directory + 2 + 12 * index
        tag, kind = struct.unpack_from(f"{order}HH", tiff, entry)
        if tag == _ORIENTATION_TAG and kind in (_SHORT, _LONG):
            (value,) = struct.unpack_from(f"{order}{'H' if kind == _SHORT else 'I'}", tiff, entry + 8)
            return value if 1 <= value <= 8 else UPRIGHT
    return UPRIGHT
