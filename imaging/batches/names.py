"""File names of customers: labels that are told again and written into zips, never paths of ours."""

import re
import unicodedata
from collections.abc import Iterable, Iterator

from imaging.core.encode import MEDIA_TYPES

MAX_NAME = 255
# One name of a path, in bytes of UTF-8: file systems allow 255, and ` (500)` may be added.
MAX_PART_BYTES = 240
_UNSAFE = re.compile(r"[\x00-\x1f\x7f]")
# What Windows takes for a drive or a stream, and what its file systems do not allow.
_NOT_IN_PATHS = re.compile(r'[<>:"|?*/\\]')
# Controls, surrogates, line separators, and marks that are not seen or that turn the direction of what follows. The joiners
# stay: Persian, Indic scripts and emoji are written with them.
_UNSEEN = frozenset(["Cc", "Cf", "Cs", "Zl", "Zp"])
_JOINERS = "\u200c\u200d"
# Windows takes these for devices, whatever extension follows and whatever spaces stand in front of it.
# https://learn.microsoft.com/windows/win32/fileio/naming-a-file
# (In compatibility form, in which `COM¹`, a device as well, is `COM1`.)
_DEVICES = re.compile(r"(con|prn|aux|nul|clock\$|conin\$|conout\$|(com|lpt)[0-9])\s*(\.|$)", re.IGNORECASE)
_EXTENSIONS = {media_type: extension for extension, media_type in MEDIA_TYPES.items()}


def label(name: str) -> str:
    """A name as it may be kept: no control characters, at most 255 characters, the end of it, where the extension is."""
    clean = _UNSAFE.sub("", name).encode("utf-8", "replace").decode()
    return clean[-MAX_NAME:]


def result_name(name: str, media_type: str) -> str:
    """The name of a result, `/` between its folders: that of the image with the extension of the result's format.

    It leads nowhere outside of the folder that a zip is unpacked in, on Unix and on Windows.
    """
    parts = [part for part in map(_part, name.replace("\\", "/").split("/")) if part]
    folders, base = parts[:-1], parts[-1] if parts else "image"
    extension = f".{_EXTENSIONS.get(media_type, 'bin')}"
    stem = _cut(base.rpartition(".")[0] or base, MAX_PART_BYTES - len(extension))
    return "/".join([*folders, stem + extension])


def _part(text: str) -> str:
    """One folder's or file's name; empty for one that names no other place than its own, such as `..` or `.. .`."""
    composed = unicodedata.normalize("NFC", text)
    seen = "".join(one for one in composed if one in _JOINERS or unicodedata.category(one) not in _UNSEEN)
    clean = _cut(_NOT_IN_PATHS.sub("_", seen).strip())
    # Windows drops spaces and dots at the end, in any order.
    while clean != (clean := clean.strip().rstrip(".")):
        pass
    return f"_{clean}" if _DEVICES.match(unicodedata.normalize("NFKC", clean)) else clean


def _cut(text: str, size: int = MAX_PART_BYTES) -> str:
    return text.encode()[:size].decode(errors="ignore")


def distinct(names: Iterable[str]) -> Iterator[str]:
    """The same names, ` (2)` and so on behind those that were there before.

    Names count as the same in other letter case and other Unicode forms, as they do to Windows and macOS. A file whose
    folder has the name of another file goes without its folders.
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
    """Every folder that a path leads through."""
    parts = key.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]
