"""Unpacks a zip into a spool, trusting nothing that it says of itself: real bytes are counted, and bounded."""

import io
import struct
import zlib
from collections.abc import Callable, Iterator
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from imaging.batches.spool import Segment
from imaging.core.problems import Problem
from imaging.upload import CHUNK_BYTES

# All that 500 pictures with long names need, several times over. An entry in memory takes some ten times its bytes here.
MAX_DIRECTORY = 2 * 1024**2
_ENCRYPTED = 0x1
# zipfile decompresses these piece by piece; a few bytes of others may ask for gigabytes at once.
_BOUNDED_METHODS = (ZIP_STORED, ZIP_DEFLATED)
# What zipfile raises for bytes that are no zip, or no longer one.
_BROKEN = (
    BadZipFile, EOFError, NotImplementedError, OSError, OverflowError, RuntimeError, ValueError, struct.error, zlib.error,
)  # fmt: skip

UNREADABLE = Problem("zip", "zip_entry_unreadable", "This file could not be unpacked: the zip is damaged at this place.")
ENCRYPTED = Problem("zip", "zip_entry_unreadable", "This file could not be unpacked: it is protected by a password.")
UNKNOWN_METHOD = Problem(
    "zip", "zip_entry_unreadable", "This file could not be unpacked: send zips that are stored or deflated."
)
PROBLEMS = (UNREADABLE, ENCRYPTED, UNKNOWN_METHOD)


class NotAZip(Exception):
    """The file is no zip, or one that lists far more than a batch may hold."""


class _Bounded(io.BufferedReader):
    """Refuses to read very much at once, which is how zipfile reads the list of entries."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size > MAX_DIRECTORY:
            raise BadZipFile("the list of entries is too long")
        return super().read(size if size >= 0 else MAX_DIRECTORY)


def unpack(segment: Segment, begin: Callable[[str, int], Callable[[bytes], bool]]) -> Iterator[Problem | None]:
    """Unpack every picture of a zip, in its order; for each yield what is wrong with it, None for nothing.

    `begin(name, size)` is told the entry's name and the size that it claims, and returns what takes its bytes: that
    returns False to be spared the rest. Folders and what systems add (`__MACOSX`, names with a leading dot) are left out.
    Raises NotAZip.
    """
    try:
        archive = ZipFile(_Bounded(segment))
    except _BROKEN as error:
        raise NotAZip(str(error)) from error
    with archive:
        for info in archive.infolist():
            if not _is_noise(info):
                yield _unpack_entry(archive, info, begin(info.filename, info.file_size))


def _is_noise(info: ZipInfo) -> bool:
    parts = info.filename.replace("\\", "/").split("/")
    return info.is_dir() or any(part == "__MACOSX" or part.startswith(".") for part in parts if part not in (".", ".."))


def _unpack_entry(archive: ZipFile, info: ZipInfo, take: Callable[[bytes], bool]) -> Problem | None:
    if info.flag_bits & _ENCRYPTED:
        return ENCRYPTED
    if info.compress_type not in _BOUNDED_METHODS:
        return UNKNOWN_METHOD
    try:
        entry = archive.open(info)
    except _BROKEN:
        return UNREADABLE
    with entry:
        while True:
            try:
                data = entry.read(CHUNK_BYTES)
            except _BROKEN:
                return UNREADABLE
            if not data or not take(data):
                return None
