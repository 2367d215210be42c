"""The result of a walk, and the file that Pillow gets in place of the caller's."""

import io
import mmap
import os
from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, cast

from PIL import Image

# A whole file. Both slice to bytes and can be searched with `re`, which is linear where `mmap.find` is not.
Data = bytes | mmap.mmap
# Literal bytes, or the start and end of a range of the file.
Part = bytes | tuple[int, int]

# Up to this size a copy costs less than a mapping, or than reading in Python.
_MAPPED_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Colours:
    """A file's colour space: an ICC profile, or `to_srgb`, which converts decoded pixels in place, or neither."""

    profile: bytes | None = None
    to_srgb: Callable[[Image.Image], None] | None = None


@dataclass(frozen=True, slots=True)
class Walk:
    """What a walk found. `format` is "JPEG", "PNG", "WEBP" or "BMP"; `width` and `height` are pixels as stored.

    `orientation` is that of EXIF (1-8). `seconds` estimates the decoding time on one slow core. `parts` are the pieces of
    the file that the decoder needs, in order; with `unpack` they are computed only when the image is decoded. `frame` is the
    decoded box (left, top, right, bottom) if smaller than the image: the rest is transparent. `colours` is called when the
    image is decoded; without it the decoder reads the profile. `probe` says how to detect a truncated image.
    """

    format: str
    width: int
    height: int
    orientation: int = 1
    seconds: float = 0.0
    parts: tuple[Part, ...] = field(default=(), repr=False)
    unpack: Callable[[Data], tuple[Part, ...]] | None = None
    frame: tuple[int, int, int, int] | None = None
    colours: Callable[[Data], Colours] | None = None
    probe: "Probe | None" = None

    @property
    def decoded_size(self) -> tuple[int, int]:
        """The size of the decoded box, in pixels."""
        if self.frame is None:
            return self.width, self.height
        left, top, right, bottom = self.frame
        return right - left, bottom - top


@dataclass(frozen=True, slots=True)
class Probe:
    """For a file without an end marker: `parts` continue differently from the walk's after the end of the image data.

    The pixels that differ between the two are missing. Up to `width` × `height` of them at the lower right are allowed.
    """

    parts: tuple[Part, ...] = field(repr=False)
    width: int
    height: int


@contextmanager
def content_of(file: BinaryIO) -> Iterator[Data]:
    """The whole content of `file`, for the block: mapped if it is on disk, else without a copy if possible."""
    if isinstance(file, io.BytesIO):
        yield file.getvalue()
        return
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    # Only temporary files and files opened by path: one in a storage may be on a network and be truncated while mapped.
    if size > _MAPPED_BYTES and isinstance(file, SpooledTemporaryFile | io.BufferedRandom | io.BufferedReader):
        with suppress(OSError, ValueError):
            with suppress(io.UnsupportedOperation):
                file.flush()
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            try:
                yield mapped
            finally:
                with suppress(BufferError):
                    mapped.close()
            return
    yield file.read()


def open_parts(data: Data, parts: tuple[Part, ...], on_read: Callable[[], None]) -> tuple[BinaryIO, int]:
    """The `parts` of `data` as one readable file, and its size. `on_read` is called for every block of a large one."""
    file = PartsFile(data, parts, on_read)
    if file.size > _MAPPED_BYTES:
        return cast(BinaryIO, file), file.size
    return io.BytesIO(file.read()), file.size


class PartsFile:
    """The `parts` of `data` as one readable file. `on_read` is called for every block."""

    def __init__(self, data: Data, parts: tuple[Part, ...], on_read: Callable[[], None]) -> None:
        self._data, self._parts, self._on_read = data, parts, on_read
        self._ends: list[int] = []
        end = 0
        for part in parts:
            end += len(part) if isinstance(part, bytes) else part[1] - part[0]
            self._ends.append(end)
        self.size = end
        self._at = 0

    def tell(self) -> int:
        """The position, from the start of the parts."""
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """As for any file."""
        self._at = max(0, offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self.size}[whence])
        return self._at

    def read(self, size: int = -1) -> bytes:
        """As for any file."""
        self._on_read()
        end = self.size if size < 0 else min(self.size, self._at + size)
        blocks = []
        while self._at < end:
            blocks.append(self._block(end))
            self._at += len(blocks[-1])
        return blocks[0] if len(blocks) == 1 else b"".join(blocks)

    def _block(self, end: int) -> bytes:
        index = bisect_right(self._ends, self._at)
        part, part_end = self._parts[index], self._ends[index]
        left, wanted = part_end - self._at, min(end, part_end) - self._at
        if isinstance(part, bytes):
            start = len(part) - left
            return part[start : start + wanted]
        start = part[1] - left
        return self._data[start : start + wanted]
