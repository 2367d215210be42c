"""The images that the attackers of `soak_hostile` send: refused ones, and those that cost as much as a file may."""

import zlib
from pathlib import Path

from tests.imaging.core import hostile
from tests.imaging.core.hostile import MEBIBYTE, segment
from tests.imaging.core.pictures import png_chunk

SIDE = 10_000


def write_hostile_images(folder: Path) -> None:
    """One file of each kind, of 1 kB to 10 MB."""
    for name, data in _images().items():
        (folder / name).write_bytes(data)


def _images() -> dict[str, bytes]:
    exif, comment, tables = segment(0xE1, b"Exif\0\0" + b"A" * 10), segment(0xFE), segment(0xDB, hostile.QUANTISATION * 1000)
    grey_rows = zlib.compress((b"\0" + bytes(3 * SIDE)) * SIDE, 9)
    broken_rows = grey_rows[: len(grey_rows) // 2]
    runs = b"\x01\x00\x00\x00" * SIDE + b"\0\1"
    return {
        "exif.jpg": hostile.jpeg(exif * (2 * MEBIBYTE // len(exif))),
        "comments.jpg": hostile.jpeg(comment * (10 * MEBIBYTE // len(comment))),
        "tables.jpg": hostile.jpeg(tables * (10 * MEBIBYTE // len(tables))),
        "no-markers.jpg": b"\xff\xd8\xff\xfe\x00\x02" + bytes(10 * MEBIBYTE),
        "20-scans.jpg": hostile.progressive(SIDE, SIDE, 20),
        "1000-scans.jpg": hostile.progressive(SIDE, SIDE, 1000),
        "9000-scans.jpg": hostile.progressive(SIDE, SIDE, 9000),
        "100-megapixels.png": hostile.png(SIDE, SIDE, data=png_chunk(b"IDAT", grey_rows)),
        "cut-off.png": hostile.png(SIDE, SIDE, data=png_chunk(b"IDAT", broken_rows)),
        "too-large.png": hostile.png(3 * SIDE, 3 * SIDE, data=png_chunk(b"IDAT", broken_rows)),
        "profile.png": hostile.png(before=png_chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(100 * MEBIBYTE), 9))),
        "texts.png": hostile.png(before=png_chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(8 * MEBIBYTE - 10))) * 200),
        "chunks.png": hostile.png(before=png_chunk(b"tEXt", b"a\0b") * 100_000),
        "frames.webp": hostile.animation(3000),
        "runs.bmp": hostile.run_length_bmp(SIDE, SIDE, runs),
        "cut-off-runs.bmp": hostile.run_length_bmp(SIDE, SIDE, runs[: len(runs) // 3]),
        "long-runs.bmp": hostile.run_length_bmp(SIDE, SIDE, (b"\xff\x12" * 39 + b"\x37\x12\0\0") * SIDE, nibbles=True),
    }
