"""Unpacks a zip into a spool without trusting anything the zip says about itself.

Three rules bound what a small zip can cost. An entry's name, size and first bytes are checked before any of it is kept. No
two entries may share bytes of the zip. An entry that unpacks to far more bytes than images do draws on an allowance shared
by all zips of a batch.
"""

import io
import struct
import zlib
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import chain, pairwise
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from imaging.batches import names
from imaging.batches.spool import Segment
from imaging.core.codecs.checks import MEBIBYTE, find_early_problem, find_start_problem
from imaging.core.codecs.headers import START_BYTES, find_format
from imaging.core.problems import Problem
from imaging.problems import make_problem
from imaging.removal.upload import CHUNK_BYTES

# Several times what 500 images with long names need. In memory, an entry takes about ten times its bytes here.
MAX_DIRECTORY = 2 * MEBIBYTE
# An entry's header. The name and an extra field follow, then the data.
_LOCAL_HEADER, _LOCAL_HEADER_BYTES = b"PK\x03\x04", 30
# The same in the list of entries.
_LISTED, _LISTED_BYTES = b"PK\x01\x02", 46
_ENCRYPTED = 0x1
# A bit of the second byte of the flags.
_UTF8 = 0x08
# The MS-DOS attribute.
_FOLDER = 0x10
# zipfile decompresses these in chunks; with other methods, a few bytes may ask for gigabytes at once.
_BOUNDED_METHODS = (ZIP_STORED, ZIP_DEFLATED)
# What zipfile raises for bytes that are not a zip, or are a damaged one.
_BROKEN = (
    BadZipFile, EOFError, NotImplementedError, OSError, OverflowError, RuntimeError, ValueError, struct.error, zlib.error,
)  # fmt: skip

# Unpacked bytes per packed byte that do not count against the allowance. Measured on 1920x1080 screenshots as BMP: pages of
# text 22 to 35, tables 100 to 216, a blank page 1,020, which is the maximum of deflate. The other formats are already
# compressed; 20 leaves room for metadata and for PNGs that an editor stored without compression.
_FREE_RATIOS = {"BMP": 250}
_FREE_RATIO = 20
# Beyond that ratio: 16 blank screenshots, or 2 blank images of the largest size.
MAX_EXCESS = 100 * MEBIBYTE

UNREADABLE = make_problem("zip", "zip_entry_unreadable", reason="the zip is damaged at this place")
ENCRYPTED = make_problem("zip", "zip_entry_unreadable", reason="it is protected by a password")
UNKNOWN_METHOD = make_problem("zip", "zip_entry_unreadable", reason="send zips that are stored or deflated")
TOO_MUCH = make_problem("zip", "zip_entry_unreadable", reason="it unpacks to far more bytes than images do")
PROBLEMS = (UNREADABLE, ENCRYPTED, UNKNOWN_METHOD, TOO_MUCH)


class NotAZip(Exception):
    """The file is not a zip, lists far more entries than a batch may have, or has entries that share bytes."""


@dataclass(slots=True)
class Allowance:
    """What all zips of one batch may still use: bytes of their directories, and bytes beyond the free ratio."""

    directory: int = 2 * MAX_DIRECTORY
    excess: int = MAX_EXCESS

    def take_directory(self, size: int) -> None:
        """Raise NotAZip if the lists of entries are longer than a batch can need."""
        self.directory -= size
        if self.directory < 0:
            raise NotAZip("the lists of entries are too long")

    def take_excess(self, info: ZipInfo, format: str) -> bool:
        """Whether an entry of this format may unpack to what it claims. zipfile unpacks no more than that."""
        excess = max(0, info.file_size - _FREE_RATIOS.get(format, _FREE_RATIO) * info.compress_size)
        if excess > self.excess:
            return False
        self.excess -= excess
        return True


class _Bounded(io.BufferedReader):
    """A zip file that refuses very large reads, because zipfile reads the list of entries in one read.

    It also hides the UTF-8 flag of names. Without the flag, zipfile decodes names as CP437, which has a character for each
    byte. With it, zipfile would refuse the whole zip for a name that is not UTF-8, and refuse an entry whose two headers
    differ only in the flag.
    """

    is_listing = True

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size > MAX_DIRECTORY:
            raise BadZipFile("the list of entries is too long")
        data = super().read(size if size >= 0 else MAX_DIRECTORY)
        if self.is_listing:
            return _without_flags(data)
        # Packed data of the same length and first bytes cannot be an image.
        is_header = len(data) == _LOCAL_HEADER_BYTES and data.startswith(_LOCAL_HEADER)
        return data[:7] + bytes([data[7] & ~_UTF8]) + data[8:] if is_header else data


def _without_flags(directory: bytes) -> bytes:
    """A list of entries without the UTF-8 flag; other bytes are returned unchanged."""
    cleared, at = bytearray(directory), 0
    while cleared.startswith(_LISTED, at) and len(cleared) >= at + _LISTED_BYTES:
        cleared[at + 9] &= ~_UTF8
        at += _LISTED_BYTES + sum(struct.unpack_from("<3H", cleared, at + 28))
    return bytes(cleared)


def unpack(
    segment: Segment, allowance: Allowance, begin: Callable[[str, int], Callable[[bytes], None]]
) -> Iterator[Problem | None]:
    """Unpack every image of a zip, in the order of its directory; for each, yield its problem, or None.

    `begin(name, size)` gets the entry's name and claimed size, which is also the most that is unpacked, and returns a
    function that takes its bytes. It gets no bytes of an entry whose name, size or first bytes are not an image's. Folders
    and system files (`__MACOSX`, `Thumbs.db`, names with a leading dot) are left out. Raises NotAZip.
    """
    file = _Bounded(segment)
    try:
        archive = ZipFile(file)
    except _BROKEN as error:
        raise NotAZip(str(error)) from error
    with archive:
        allowance.take_directory(segment.size - archive.start_dir)
        _check_places(archive)
        file.is_listing = False
        for info in archive.infolist():
            name = names.decoded(info.orig_filename.encode("cp437"), info.extra)
            if not names.is_noise(name) and not _is_folder(info):
                take = begin(name, info.file_size)
                yield _find_problem(info, name) or _unpack_entry(archive, info, allowance, take)


def _check_places(archive: ZipFile) -> None:
    """Raise NotAZip for entries that share bytes: with them, a zip of 10 MB can hold 281 TB (bamsoftware.com/hacks/zipbomb).

    It also makes the sizes used for the ratio reliable: the packed bytes really exist.
    """
    places = sorted((info.header_offset, _end_of(info)) for info in archive.infolist())
    places.append((archive.start_dir, archive.start_dir))
    if places[0][0] < 0 or any(end > start for (_, end), (start, _) in pairwise(places)):
        raise NotAZip("its entries overlap")


def _end_of(info: ZipInfo) -> int:
    """The earliest position at which an entry can end. (Its header may be followed by a separate extra field.)"""
    return info.header_offset + _LOCAL_HEADER_BYTES + info.compress_size


def _is_folder(info: ZipInfo) -> bool:
    """Whether an entry's attributes say that it is a folder, whatever its name."""
    return bool(info.external_attr & _FOLDER) and not info.file_size


def _unpack_entry(archive: ZipFile, info: ZipInfo, allowance: Allowance, take: Callable[[bytes], None]) -> Problem | None:
    try:
        with closing(_chunks(archive, info)) as chunks:
            start = next(chunks, b"")
            if problem := find_start_problem(start):
                return problem
            if not allowance.take_excess(info, find_format(start) or ""):
                return TOO_MUCH
            for data in chain([start], chunks):
                take(data)
    except _Damaged:
        return UNREADABLE
    return None


def _find_problem(info: ZipInfo, name: str) -> Problem | None:
    """The problem that the directory alone shows."""
    if info.flag_bits & _ENCRYPTED:
        return ENCRYPTED
    if info.compress_type not in _BOUNDED_METHODS:
        return UNKNOWN_METHOD
    return find_early_problem(names.label(name), info.file_size)


class _Damaged(Exception):
    """An entry that cannot be read, or not to its end."""


def _chunks(archive: ZipFile, info: ZipInfo) -> Generator[bytes]:
    """An entry's unpacked bytes: first those that are checked, then the rest. Raises _Damaged."""
    try:
        with archive.open(info) as entry:
            size = START_BYTES
            while data := entry.read(size):
                yield data
                size = CHUNK_BYTES
    except _BROKEN as error:
        raise _Damaged from error
