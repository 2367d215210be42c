"""Customers' file names: labels that are shown and written into zips, never our own paths."""

import re
import struct
import unicodedata
import zlib
from collections.abc import Iterable, Iterator

from imaging.core.codecs.encode import MEDIA_TYPES

MAX_NAME = 255
# One name of a path, in bytes of UTF-8: file systems allow 255, and ` (500)` may be added.
MAX_PART_BYTES = 240
_UNSAFE = re.compile(r"[\x00-\x1f\x7f]")
# What Windows takes for a drive or a stream, and what its file systems do not allow.
_NOT_IN_PATHS = re.compile(r'[<>:"|?*/\\]')
# Control characters, surrogates, line separators, and marks that are invisible or change the text direction. The joiners
# stay: Persian, Indic scripts and emoji need them.
_UNSEEN = frozenset(["Cc", "Cf", "Cs", "Zl", "Zp"])
_JOINERS = "\u200c\u200d"
# Windows treats these as devices, with any extension and any spaces before it.
# https://learn.microsoft.com/windows/win32/fileio/naming-a-file
# (In compatibility form, in which `COM¹`, also a device, is `COM1`.)
_DEVICES = re.compile(r"(con|prn|aux|nul|clock\$|conin\$|conout\$|(com|lpt)[0-9])\s*(\.|$)", re.IGNORECASE)
# Info-ZIP's Unicode path (APPNOTE.TXT 4.6.9): its version, the CRC-32 of the raw name that it replaces, the UTF-8 name.
_UNICODE_PATH, _UNICODE_PATH_VERSION = 0x7075, 1
# 5C is a backslash in ASCII; in CP932, GBK and Big5 it can be the second byte of a letter whose first byte is not ASCII.
_HALF_LETTER = re.compile(rb"(?<=[\x80-\xff])\\")
# Files without a leading dot that Windows and macOS (the folder icon) put into folders, in lower case.
_SYSTEM_FILES = frozenset(["desktop.ini", "ehthumbs.db", "icon\r", "thumbs.db"])
_EXTENSIONS = {media_type: extension for extension, media_type in MEDIA_TYPES.items()}


def label(name: str) -> str:
    """A name fit to store: no control characters, at most the last 255 characters, which include the extension."""
    clean = _UNSAFE.sub("", name).encode("utf-8", "replace").decode()
    return clean[-MAX_NAME:]


def decoded(raw: bytes, extra: bytes = b"") -> str:
    """The name of a zip entry, from its bytes and extra fields, up to the first NUL. Accepts any bytes.

    It is the Unicode path in the extra fields if that belongs to this name, else UTF-8 if the bytes are valid UTF-8. The
    UTF-8 flag is ignored: macOS and many libraries do not set it, and some set it for all names. Otherwise it is CP437, the
    format's default: mostly wrong letters, but the whole name. There, a backslash that may be half of a letter becomes `_`.
    All other backslashes separate folders, as old Windows tools write them.
    """
    name = _unicode_path(raw, extra) or _utf8(raw)
    if name is None:
        name = _HALF_LETTER.sub(b"_", raw).decode("cp437")
    return name.partition("\0")[0]


def _unicode_path(raw: bytes, extra: bytes) -> str | None:
    start = struct.pack("<BI", _UNICODE_PATH_VERSION, zlib.crc32(raw))
    at = 0
    while at + 4 <= len(extra):
        tag, size = struct.unpack_from("<HH", extra, at)
        data = extra[at + 4 : at + 4 + size]
        if tag == _UNICODE_PATH and data.startswith(start):
            return _utf8(data[len(start) :])
        at += 4 + size
    return None


def _utf8(raw: bytes) -> str | None:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return None


def is_noise(name: str) -> bool:
    """Whether a zip entry, judging by its name, is not a file of the customer's but a folder or added by the system."""
    *folders, base = name.replace("\\", "/").split("/")
    if (folders and not base) or base.lower() in _SYSTEM_FILES:
        return True
    return any(part == "__MACOSX" or part.startswith(".") for part in (*folders, base) if part not in (".", ".."))


def result_name(name: str, media_type: str, output: str = "") -> str:
    """The name of a result, with `/` between folders: the image's name with the extension of the result's format.

    `-` and the name of its `output` go before the extension. It never points outside the folder that a zip is unpacked
    into, on Unix or on Windows.
    """
    parts = [part for part in map(_part, name.replace("\\", "/").split("/")) if part]
    folders, base = parts[:-1], parts[-1] if parts else "image"
    end = f"{f'-{output}' if output else ''}.{_EXTENSIONS.get(media_type, 'bin')}"
    stem = _cut(base.rpartition(".")[0] or base, MAX_PART_BYTES - len(end))
    return "/".join([*folders, stem + end])


def _part(text: str) -> str:
    """One folder or file name of a path; empty for a part that is no real name, such as `..` or `.. .`."""
    seen = "".join(one for one in text if one in _JOINERS or unicodedata.category(one) not in _UNSEEN)
    # Composed last: an unseen character may have kept a letter and its accent apart.
    clean = _cut(_NOT_IN_PATHS.sub("_", unicodedata.normalize("NFC", seen)).strip())
    # Windows drops spaces and dots at the end, in any order.
    while clean != (clean := clean.strip().rstrip(".")):
        pass
    return f"_{clean}" if _DEVICES.match(unicodedata.normalize("NFKC", clean)) else clean


def _cut(text: str, size: int = MAX_PART_BYTES) -> str:
    return text.encode()[:size].decode(errors="ignore")


def distinct(names: Iterable[str]) -> Iterator[str]:
    """The same names, with ` (2)` and so on appended to repeated ones.

    Names that differ only in letter case or Unicode form count as the same, as on Windows and macOS. A file whose folder
    has the name of another file loses its folders.
    """
    files: set[str] = set()
    folders: set[str] = set()
    numbers: dict[str, int] = {}
    for name in names:
        if not files.isdisjoint(_folders_of(_key(name))):
            name = name.rpartition("/")[2]
        stem, dot, extension = name.rpartition(".")
        one, key = name, _key(name)
        while _key(one) in files or _key(one) in folders:
            numbers[key] = numbers.get(key, 1) + 1
            one = f"{stem} ({numbers[key]}){dot}{extension}"
        files.add(_key(one))
        folders.update(_folders_of(_key(one)))
        yield one


def _key(name: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def _folders_of(key: str) -> list[str]:
    """Every folder on the path."""
    parts = key.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]
