"""Holds the files of one upload while it arrives, in one unnamed temporary file, which disappears even if we are killed.

One file for all of them: a process may receive several uploads of 500 images at once, but cannot open as many files.
"""

import errno
import io
import os
from tempfile import TemporaryFile
from typing import Any


class Spool:
    """Bytes that are only appended, or truncated at the end."""

    def __init__(self) -> None:
        self._file: Any = TemporaryFile(buffering=0)  # noqa: SIM115 - closed by close()
        self.end = 0

    def close(self) -> None:
        """Delete the file. Calls after the first do nothing."""
        self._file.close()

    def append(self, data: bytes) -> None:
        """Add bytes at the end."""
        left = memoryview(data)
        while left:
            written = os.pwrite(self._file.fileno(), left, self.end)
            self.end += written
            left = left[written:]

    def cut(self, end: int) -> None:
        """Discard everything from `end` on."""
        self._file.truncate(end)
        self.end = end

    def read(self, start: int, size: int) -> bytes:
        """Up to `size` bytes from `start` on. Any thread may call this at any time."""
        return os.pread(self._file.fileno(), size, start)


class Segment(io.RawIOBase):
    """`size` bytes of a spool, from `start` on, as a readable file."""

    def __init__(self, spool: Spool, start: int, size: int) -> None:
        self._spool, self._start, self.size = spool, start, size
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self.size}[whence]
        if base + offset < 0:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        self._at = base + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        data = self._spool.read(self._start + self._at, max(0, min(len(buffer), self.size - self._at)))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)
