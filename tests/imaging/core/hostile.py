"""Files that cost far more than their size or their pixels justify: in segments, scans, chunks, frames and runs."""

import io
import struct
import zlib

from PIL import Image

from tests.imaging.core.pictures import png_chunk

MEBIBYTE = 1024 * 1024
HUFFMAN_DC, HUFFMAN_AC = bytes([0x00, 1] + [0] * 15 + [0]), bytes([0x10, 1] + [0] * 15 + [0])
LONG_RUN = bytes([0x10, 1] + [0] * 15 + [0xE0])
QUANTISATION = b"\0" + bytes([1] * 64)


def segment(marker: int, payload: bytes = b"") -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(payload) + 2) + payload


def frame(marker: int, width: int, height: int, layers: int = 1) -> bytes:
    components = b"".join(bytes((number + 1, 0x11, 0)) for number in range(layers))
    return segment(marker, struct.pack(">BHHB", 8, height, width, layers) + components)


def scan(*components: int, first: int = 0, last: int = 63, approximation: int = 0) -> bytes:
    selected = b"".join(bytes((component, 0)) for component in components)
    return segment(0xDA, bytes((len(components),)) + selected + bytes((first, last, approximation)))


def jpeg(
    head: bytes = b"", width: int = 8, height: int = 8, marker: int = 0xC0, body: bytes = b"", layers: int = 1
) -> bytes:
    """A grey JPEG with `head` before its own segments, and `body` in place of its one scan."""
    tables = segment(0xDB, QUANTISATION) + frame(marker, width, height, layers)
    tables += segment(0xC4, HUFFMAN_DC) + segment(0xC4, HUFFMAN_AC)
    return (
        b"\xff\xd8"
        + head
        + tables
        + (body or scan(1) + bytes(((width + 7) // 8 * ((height + 7) // 8) + 3) // 4))
        + b"\xff\xd9"
    )


def progressive(width: int, height: int, refinements: int) -> bytes:
    """A grey progressive JPEG whose scans after the first change nothing, and take a few bytes each."""
    blocks = (width + 7) // 8 * ((height + 7) // 8)
    # A code for a run of 16384 + n blocks without coefficients, repeated as needed.
    bits = "".join("0" + f"{max(0, min(left, 32767) - 16384):014b}" for left in range(blocks, 0, -32767))
    bits += "1" * (-len(bits) % 8)
    run = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\x00")
    head = b"\xff\xd8" + segment(0xDB, QUANTISATION) + frame(0xC2, width, height)
    head += segment(0xC4, HUFFMAN_DC) + segment(0xC4, LONG_RUN)
    first = scan(1, last=0) + bytes((blocks + 7) // 8) + scan(1, first=1, approximation=1) + run
    return head + first + (scan(1, first=1, approximation=0x10) + run) * refinements + b"\xff\xd9"


def png(width: int = 8, height: int = 8, before: bytes = b"", after: bytes = b"", data: bytes | None = None) -> bytes:
    """An RGB PNG with chunks before and after its data, which is `data` where that is given."""
    pixels = png_chunk(b"IDAT", zlib.compress((b"\0" + bytes(3 * width)) * height)) if data is None else data
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + before + pixels + after + png_chunk(b"IEND", b"")


def animation(frames: int, canvas: tuple[int, int] = (64, 48), offset: tuple[int, int] = (0, 0)) -> bytes:
    """An animated WebP of 32 × 16 frames: one red, then only green ones."""
    first, other = (_frame(color, offset) for color in ("red", "lime"))
    width, height = (side - 1 for side in canvas)
    extended = b"VP8X" + struct.pack("<I", 10) + b"\x12\0\0\0" + width.to_bytes(3, "little") + height.to_bytes(3, "little")
    body = b"WEBP" + extended + b"ANIM" + struct.pack("<I", 6) + bytes(6) + first + other * (frames - 1)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _frame(color: str, offset: tuple[int, int]) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGBA", (32, 16), color).save(buffer, "WEBP", lossless=True)
    place = b"".join((side // 2).to_bytes(3, "little") for side in offset)
    payload = place + (31).to_bytes(3, "little") + (15).to_bytes(3, "little") + bytes(4) + buffer.getvalue()[12:]
    return b"ANMF" + struct.pack("<I", len(payload)) + payload


def run_length_bmp(width: int, height: int, runs: bytes, *, nibbles: bool = False, palette: bytes = b"") -> bytes:
    bits = 4 if nibbles else 8
    palette = palette or b"".join(bytes((index, index // 2, 255 - index, 0)) for index in range(1 << bits))
    offset = 54 + len(palette)
    head = b"BM" + struct.pack("<IHHI", offset + len(runs), 0, 0, offset)
    fields = (40, width, height, 1, bits, 2 if nibbles else 1, len(runs), 0, 0, len(palette) // 4, 0)
    return head + struct.pack("<IiiHHIIiiII", *fields) + palette + runs
