"""A request's body while it arrives: where its bytes go, and how it is framed."""

import io
import re
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, cast

from lib.web.server.budgets import Budget
from lib.web.server.refusals import Refused

# Up to here a body stays in memory; a larger one goes to a nameless file, which disappears even if we are killed.
MEMORY_BYTES = 64 * 1024
TOO_MANY_UPLOADS = "Too many uploads are on their way. Please try again in a few seconds."
# This much of each body is not counted. A full budget must not block small requests, nor customers, who are identified
# only after the first megabyte.
FREE_BYTES = 1536 * 1024
# The line with a chunk's size, including extensions; and all trailers together.
MAX_CHUNK_LINE = 256
MAX_TRAILERS = 8 * 1024
# Tiny chunks cost more time than they are worth: past this many, the average must be at least this long.
FREE_CHUNKS, MEAN_CHUNK_BYTES = 4096, 128
# This much more is kept of a base64 part: 78 bytes of it are 57 of the image. Its head must declare it, near its start.
ENCODED_SHARE = 1.4
MAX_PART_HEAD = 2048
ENCODED = re.compile(rb"\ncontent-transfer-encoding:[ \t]*(?:base64|quoted-printable)", re.IGNORECASE)
CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,12})(?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?")
TRAILER = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*")


class Store:
    """Stores a body's bytes, and counts them against a budget.

    The rest of a form part longer than `kept_of_part` is not stored: a hole in the file stands for it, so that the part's
    size is known but takes no disk space. More than `max_kept` bytes in total are refused.
    """

    def __init__(
        self,
        budget: Budget,
        holder: str,
        *,
        delimiter: bytes = b"",
        kept_of_part: int | None = None,
        max_kept: int | None = None,
    ) -> None:
        self.size = 0
        self._kept = self._counted = 0
        self._max_kept = max_kept
        self._budget, self._holder = budget, holder
        self._file = cast(BinaryIO, SpooledTemporaryFile(MEMORY_BYTES))  # noqa: SIM115  # close() closes it
        self._delimiter = delimiter
        self._kept_of_part = kept_of_part if delimiter else None
        self._part_bytes = 0
        self._is_skipping = False
        # The end of the last piece, since a delimiter may span two pieces; and how much of it is in the file.
        self._tail = b""
        self._tail_written = 0

    def append(self, data: bytes) -> None:
        """Store the next bytes, or only count them.

        Raises Refused 503 when the budget is exhausted, 413 past `max_kept`, OSError for a full disk.
        """
        if self._kept_of_part is None:
            self._keep(data)
            return
        seen = self._tail + data
        first = seen.find(self._delimiter)
        if not self._is_skipping:
            self._keep(data)
            self._remember_tail(seen, len(seen))
        elif first < 0:
            self._skip_all_but_tail(seen)
            return
        else:
            self._is_skipping = False
            self._skip(max(0, first - self._tail_written))
            self._keep(seen[max(first, self._tail_written) :])
            self._remember_tail(seen, len(seen))
        last = seen.rfind(self._delimiter)
        self._part_bytes = len(seen) - last if last >= 0 else self._part_bytes + len(data)
        self._is_skipping = self._part_bytes >= self._kept_of_part and self._part_bytes >= self._limit_of_part()

    def _limit_of_part(self) -> float:
        """How much is kept of a part that is longer than the usual limit."""
        self._file.seek(self.size - self._part_bytes)
        head = self._file.read(MAX_PART_HEAD).partition(b"\r\n\r\n")[0]
        self._file.seek(self.size)
        return (self._kept_of_part or 0) * (ENCODED_SHARE if ENCODED.search(head) else 1)

    def _remember_tail(self, seen: bytes, written: int) -> int:
        """Remember the end of `seen`, whose first `written` bytes are in the file. Returns where that end begins."""
        begin = max(0, len(seen) - len(self._delimiter) + 1)
        self._tail, self._tail_written = seen[begin:], max(0, written - begin)
        return begin

    def _skip_all_but_tail(self, seen: bytes) -> None:
        written = self._tail_written
        begin = self._remember_tail(seen, written)
        self._skip(max(0, begin - written))

    def _keep(self, data: bytes) -> None:
        if self._max_kept is not None and self._kept + len(data) > self._max_kept:
            raise Refused(413)
        counted = max(0, self._kept + len(data) - FREE_BYTES) - self._counted
        if counted > 0:
            if not self._budget.take(self._holder, counted):
                raise Refused(503, TOO_MANY_UPLOADS)
            self._counted += counted
        self._kept += len(data)
        self._file.write(data)
        self.size += len(data)

    def _skip(self, size: int) -> None:
        self._file.seek(size, io.SEEK_CUR)
        self.size += size

    def hand_to(self, budget: Budget, holder: str) -> None:
        """Count the stored bytes for another holder. Raises Refused 503 if that holder has no room."""
        if not budget.take(holder, self._counted):
            raise Refused(503, TOO_MANY_UPLOADS)
        self._budget.give_back(self._holder, self._counted)
        self._budget, self._holder = budget, holder

    def open(self) -> BinaryIO:
        """The body from its beginning; nothing may be appended after it."""
        self._keep(self._tail[self._tail_written :])
        self._tail_written = len(self._tail)
        self._file.seek(0)
        return self._file

    def close(self) -> None:
        """Release everything. Idempotent."""
        self._file.close()
        self._budget.give_back(self._holder, self._counted)
        self._counted = 0


class FixedFraming:
    """A body of known length. `take` returns the part of `data` that belongs to it, and how much was consumed."""

    def __init__(self, length: int) -> None:
        self.left = length

    @property
    def is_complete(self) -> bool:
        return self.left == 0

    def take(self, data: bytes) -> tuple[bytes, int]:
        mine = data[: self.left]
        self.left -= len(mine)
        return mine, len(mine)


class ChunkedFraming:
    """A chunked body. `take` returns the content of the chunks in `data`, and how much was consumed. Raises Refused 400."""

    def __init__(self) -> None:
        self.is_complete = False
        self._rest = b""
        self._chunk_left = 0
        self._chunks = self._carried = self._trailer_bytes = 0
        self._step = self._size_line

    def take(self, data: bytes) -> tuple[bytes, int]:
        before = len(self._rest)
        buffer = self._rest + data
        at, carried = 0, []
        while not self.is_complete:
            used, piece = self._step(buffer, at)
            if used < 0:
                break
            at += used
            if piece:
                carried.append(piece)
        self._rest = b"" if self.is_complete else buffer[at:]
        return b"".join(carried), at - before if self.is_complete else len(data)

    def _line(self, buffer: bytes, at: int, longest: int) -> bytes | None:
        end = buffer.find(b"\r\n", at, at + longest + 2)
        if end >= 0:
            return buffer[at:end]
        if len(buffer) - at >= longest + 2 or b"\n" in buffer[at : at + longest + 2]:
            raise Refused(400, "The chunked body is malformed.")
        return None

    def _size_line(self, buffer: bytes, at: int) -> tuple[int, bytes]:
        line = self._line(buffer, at, MAX_CHUNK_LINE)
        if line is None:
            return -1, b""
        found = CHUNK_SIZE.fullmatch(line)
        self._chunks += 1
        if found is None or (self._chunks > FREE_CHUNKS and self._carried < self._chunks * MEAN_CHUNK_BYTES):
            raise Refused(400, "The chunked body is malformed.")
        self._chunk_left = int(found[1], 16)
        self._step = self._content if self._chunk_left else self._trailer
        return len(line) + 2, b""

    def _content(self, buffer: bytes, at: int) -> tuple[int, bytes]:
        piece = buffer[at : at + self._chunk_left]
        if not piece:
            return -1, b""
        self._chunk_left -= len(piece)
        self._carried += len(piece)
        if not self._chunk_left:
            self._step = self._chunk_end
        return len(piece), piece

    def _chunk_end(self, buffer: bytes, at: int) -> tuple[int, bytes]:
        end = buffer[at : at + 2]
        if not b"\r\n".startswith(end):
            raise Refused(400, "The chunked body is malformed.")
        if len(end) < 2:
            return -1, b""
        self._step = self._size_line
        return 2, b""

    def _trailer(self, buffer: bytes, at: int) -> tuple[int, bytes]:
        line = self._line(buffer, at, MAX_TRAILERS)
        if line is None:
            return -1, b""
        self._trailer_bytes += len(line) + 2
        if self._trailer_bytes > MAX_TRAILERS or (line and not TRAILER.fullmatch(line)):
            raise Refused(400, "The chunked body is malformed.")
        self.is_complete = not line
        return len(line) + 2, b""
