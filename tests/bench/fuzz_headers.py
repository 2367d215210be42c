"""Fuzzes the walks through image files: only refusals may be raised, and no walk may cost over 50 ms of CPU per megabyte.

Colours that a walk leaves for later are read as well, and that must not fail either.

    python -m tests.bench.fuzz_headers [--seconds 600] [--seed 1] [--keep FOLDER]

Mutates valid and hostile files of every format: bits, numbers, pieces cut out, moved and repeated up to megabytes, and
pieces of one file in another. Less than a megabyte counts as one. Exits with status 1 after a finding, which it keeps.
"""

import argparse
import io
import random
import struct
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from imaging.core.codecs.headers import ImageHeader, read_header, walk_through
from imaging.core.codecs.walk import content_of
from imaging.core.problems import ImageRefused
from imaging.core.values import MAX_SIDE
from tests.imaging.core import bitmaps, hostile
from tests.imaging.core.pictures import bmp, exif, file_bytes, photo, png_chunk

SECONDS_PER_MEGABYTE = 0.05
# A walk that took too long is repeated: another process may have evicted its caches.
REPEATS = 3
MAX_BYTES = 8 * 1024 * 1024
LARGE_EVERY = 50

# The fields of a frame of an animated PNG, 24 x 16.
FRAME = struct.pack(">5I2H2B", 0, 24, 16, 0, 0, 1, 10, 0, 0)

PIECES = [
    b"\xff", b"\xff\x00", b"\xff\xd8", b"\xff\xd9", b"\xff\xda", b"\xff\xd0", b"\xff\x01", b"\xff\xe1",
    b"\xff\xff\xff\xff", bytes(16),
    hostile.segment(0xFE), hostile.segment(0xE1, b"Exif\0\0II*\0"), hostile.segment(0xDB, hostile.QUANTISATION),
    hostile.scan(1), hostile.scan(1, 2, 3), hostile.frame(0xC2, 10_000, 10_000), hostile.frame(0xCA, 1, 1, 3),
    png_chunk(b"IDAT", b""), png_chunk(b"tEXt", b"a\0b"), png_chunk(b"eXIf", exif(6)[6:]), png_chunk(b"iCCP", b"x\0\0"),
    png_chunk(b"PLTE", bytes(768)), png_chunk(b"fcTL", bytes(26)), png_chunk(b"IEND", b""), b"\0\0\0\0IDAT",
    png_chunk(b"acTL", b"\0\0\0\1\0\0\0\0"), png_chunk(b"fcTL", FRAME), png_chunk(b"fdAT", b"\0\0\0\1abc"),
    png_chunk(b"cICP", b"\x09\x10\0\1"), png_chunk(b"gAMA", b"\0\1\x86\xa0"), png_chunk(b"cHRM", bytes(range(32))),
    png_chunk(b"tRNS", bytes(6)), png_chunk(b"sRGB", b"\0"), b"\0\0\0\x09gAMA", b"\0\0\0\4cICP\x0c\x0d\0\1",
    b"\xff\xe5\0\0", hostile.segment(0xE0, b"JFIF\0"), hostile.segment(0xE2, b"ICC_PROFILE\0\1\1"),
    hostile.segment(0xEE, b"Adobe"),
    b"EXIF\0\0\0\0", b"ANMF\x10\0\0\0" + bytes(16), b"VP8L\0\0\0\0", b"ABCD\0\0\0\0", b"\0\0", b"\0\2\1\0", b"\1\1",
]  # fmt: skip
NUMBERS = (0, 1, 2, 3, 7, 8, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def samples() -> list[bytes]:
    """The files to mutate."""
    small = photo((24, 16))
    return [
        *(file_bytes(small, format, exif=exif(6)) for format in ("PNG", "JPEG", "WEBP")),
        file_bytes(small, "JPEG", progressive=True, icc_profile=bytes(70_000), comment=b"hello"),
        file_bytes(small.convert("CMYK"), "JPEG"),
        file_bytes(small, "MPO", save_all=True, append_images=[photo(seed=1)]),
        file_bytes(small.quantize(16), "PNG", transparency=3),
        file_bytes(photo(), "PNG", save_all=True, append_images=[photo(seed=1)]),
        file_bytes(small, "PNG", save_all=True, append_images=[small], default_image=True),
        hostile.png(before=png_chunk(b"gAMA", b"\0\1\x86\xa0") + png_chunk(b"cHRM", bytes(range(32)))),
        hostile.png(before=png_chunk(b"cICP", b"\x09\x10\0\1") + png_chunk(b"cLLI", bytes(range(8)))),
        file_bytes(photo((24, 16), "RGBA"), "WEBP", exif=exif(6), icc_profile=bytes(500)),
        file_bytes(small, "WEBP", lossless=True),
        hostile.animation(20),
        file_bytes(small, "BMP"),
        file_bytes(small.quantize(16), "BMP"),
        bmp(2, 1, 1, [b"\x80"], bytes(8)),
        hostile.run_length_bmp(50, 40, b"\x32\1\0\0" * 40 + b"\0\1"),
        hostile.run_length_bmp(50, 40, b"\0\5\1\2\3\0" * 40 + b"\0\1", nibbles=True),
        *odd_bitmaps(),
        file_bytes(small, "JPEG", icc_profile=bytes(200))[:-2],
        file_bytes(small, "JPEG", progressive=True)[:-2],
        hostile.jpeg(hostile.segment(0xE1, b"Exif\0\0" + bytes(10)) * 500),
        hostile.progressive(64, 64, 90),
        hostile.png(before=png_chunk(b"tEXt", b"a\0b") * 500, after=png_chunk(b"tEXt", b"") * 500),
    ]


def odd_bitmaps() -> list[bytes]:
    """BMP files with headers, masks and a profile that no encoder used here writes."""
    rows, palette = bytes(range(192)), bytes(range(64)) * 16
    return [
        bitmaps.bitmap((8, 6), 24, rows, header=bitmaps.CORE),
        bitmaps.bitmap((8, 6), 24, rows, header=bitmaps.OS2_SHORT),
        bitmaps.bitmap((5, 2), 24, b"\5abc\0\0\2xyz\0\1", header=bitmaps.OS2, compression=bitmaps.RLE24),
        bitmaps.bitmap((8, 6), 16, rows, compression=bitmaps.ALPHA_BITFIELDS, masks=(0xF00, 0xF0, 0xF, 0xF000)),
        bitmaps.bitmap((8, 6), 32, rows, header=bitmaps.V4, compression=bitmaps.BITFIELDS, masks=(0xFF, 0xFF00, 0xFF0000)),
        bitmaps.bitmap((8, 6), 32, rows, header=bitmaps.V5, colour_space=bitmaps.EMBEDDED, profile=bytes(200)),
        bitmaps.bitmap((8, 6), 8, rows, palette=palette, colours=300),
        bitmaps.bitmap((8, 6), 2, rows, palette=palette[:16], from_top=True),
    ]


class Mutator:
    """Changes a file at random."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311 - no secret
        self.samples = samples()
        self.changes: list[Callable[[bytearray], None]] = [
            self.flip, self.number, self.cut, self.insert, self.repeat, self.move, self.mix,
        ]  # fmt: skip

    def next(self, *, large: bool) -> bytes:
        """A mutated file; `large`: one with a piece repeated up to MAX_BYTES."""
        data = bytearray(self.random.choice(self.samples))
        for _ in range(self.random.randint(1, 6)):
            self.random.choice(self.changes)(data)
        if large:
            self.fill(data)
        return bytes(data[:MAX_BYTES])

    def place(self, data: bytearray) -> int:
        # Structure is at the beginning.
        return int(self.random.random() ** 2 * len(data))

    def piece(self, data: bytearray) -> bytes:
        if self.random.random() < 0.5:
            return self.random.choice(PIECES)
        start = self.place(data)
        return bytes(data[start : start + self.random.randint(1, 200)])

    def flip(self, data: bytearray) -> None:
        if data:
            data[min(self.place(data), len(data) - 1)] = self.random.randrange(256)

    def number(self, data: bytearray) -> None:
        start, (size, code) = self.place(data), self.random.choice([(1, "B"), (2, "H"), (4, "I")])
        value = self.random.choice(NUMBERS) & ((1 << 8 * size) - 1)
        data[start : start + size] = struct.pack(self.random.choice("<>") + code, value)

    def cut(self, data: bytearray) -> None:
        start = self.place(data)
        del data[start : start + self.random.choice((1, 2, 8, 100, len(data)))]

    def insert(self, data: bytearray) -> None:
        start = self.place(data)
        data[start:start] = self.piece(data)

    def repeat(self, data: bytearray) -> None:
        start = self.place(data)
        data[start:start] = self.piece(data) * self.random.choice((2, 10, 101, 1001))

    def move(self, data: bytearray) -> None:
        start, length = self.place(data), self.random.randint(1, 300)
        piece = bytes(data[start : start + length])
        del data[start : start + length]
        at = self.place(data)
        data[at:at] = piece

    def mix(self, data: bytearray) -> None:
        other = self.random.choice(self.samples)
        data[self.place(data) :] = other[int(self.random.random() * len(other)) :]

    def fill(self, data: bytearray) -> None:
        """Repeat a piece until the file is large."""
        start, piece = self.place(data), self.piece(data) or b"\0"
        data[start:start] = piece * (self.random.randrange(1, MAX_BYTES) // len(piece))


def seconds_of(data: bytes) -> tuple[float, str]:
    """CPU seconds of a walk, and its outcome: a format, or the code of a refusal."""
    started = time.thread_time()
    try:
        outcome = read_header(io.BytesIO(data)).format
    except ImageRefused as refusal:
        outcome = refusal.problems[0].code
    return time.thread_time() - started, outcome


def find_fault(data: bytes) -> tuple[str | None, float, str]:
    """What is wrong with the walk through `data`, its seconds per megabyte, and its outcome."""
    megabytes = max(1.0, len(data) / 1e6)
    try:
        seconds, outcome = seconds_of(data)
        for _ in range(REPEATS):
            if seconds / megabytes > SECONDS_PER_MEGABYTE:
                seconds = min(seconds, seconds_of(data)[0])
        check_parts(data, outcome)
    except Exception as error:
        return f"{type(error).__name__}: {error}", 0.0, "error"
    rate = seconds / megabytes
    return (f"{rate * 1000:.0f} ms per MB" if rate > SECONDS_PER_MEGABYTE else None), rate, outcome


def check_parts(data: bytes, outcome: str) -> None:
    """The parts lie within the file, and there are no more of them than the file could hold."""
    if outcome in ("JPEG", "PNG", "WEBP", "BMP"):
        with content_of(io.BytesIO(data)) as content:
            walk = walk_through(content)
            if walk.colours is not None:
                walk.colours(content)
        assert ImageHeader(walk.format, walk.width, walk.height, walk.orientation).upright_size > (0, 0)
        assert 1 <= walk.orientation <= 8
        assert 0 < walk.decoded_size[0] <= walk.width
        assert 0 < walk.decoded_size[1] <= walk.height
        # Larger images are refused because of their size.
        assert max(walk.width, walk.height) > MAX_SIDE or 0 <= walk.seconds < 60
        for parts in (walk.parts, walk.probe.parts if walk.probe else ()):
            ranges = [part for part in parts if not isinstance(part, bytes)]
            assert all(0 <= start <= end <= len(data) for start, end in ranges)
            assert sum(end - start for start, end in ranges) <= len(data)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, default=Path(), help="where a finding is kept")
    arguments = parser.parse_args()
    mutator, outcomes, worst, found = Mutator(arguments.seed), Counter[str](), 0.0, 0
    deadline, number, walked = time.monotonic() + arguments.seconds, 0, 0
    while time.monotonic() < deadline:
        number += 1
        data = mutator.next(large=number % LARGE_EVERY == 0)
        fault, rate, outcome = find_fault(data)
        outcomes[outcome] += 1
        walked += len(data)
        worst = max(worst, rate)
        if fault is not None:
            found += 1
            path = arguments.keep / f"finding-{arguments.seed}-{number}"
            path.write_bytes(data)
            print(f"{path}: {fault}", flush=True)
    summary = ", ".join(f"{outcome} {count:,}" for outcome, count in outcomes.most_common())
    print(f"{number:,} files, {walked / 1e6:,.0f} MB in {arguments.seconds:.0f} s: {summary}")
    print(f"worst walk {worst * 1000:.1f} ms per MB (limit {SECONDS_PER_MEGABYTE * 1000:.0f}); findings: {found}")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
