"""File names of customers: labels that are told again and written into zips, never paths of ours."""

import re
from collections.abc import Iterable, Iterator

from imaging.core.encode import MEDIA_TYPES

MAX_NAME = 255
_UNSAFE = re.compile(r"[\x00-\x1f\x7f]")
# What Windows takes for a drive or a stream, and what its file systems do not allow.
_NOT_IN_PATHS = re.compile(r'[<>:"|?*]')
_EXTENSIONS = {media_type: extension for extension, media_type in MEDIA_TYPES.items()}


def label(name: str) -> str:
    """A name as it may be kept: no control characters, at most 255 characters, the end of it, where the extension is."""
    clean = _UNSAFE.sub("", name).encode("utf-8", "replace").decode()
    return clean[-MAX_NAME:]


def result_name(name: str, media_type: str) -> str:
    """The name of a result, `/` between its folders: that of the picture with the extension of its own format.

    It leads nowhere outside of the folder that a zip is unpacked in.
    """
    parts = [part for part in map(_part, name.replace("\\", "/").split("/")) if part]
    folders, base = parts[:-1], parts[-1] if parts else "image"
    stem = base.rpartition(".")[0] or base
    return "/".join([*folders, f"{stem}.{_EXTENSIONS.get(media_type, 'bin')}"])


def _part(text: str) -> str:
    """One folder's or file's name; empty for one that names no other place than its own, such as `..`."""
    return _NOT_IN_PATHS.sub("_", _UNSAFE.sub("", text)).strip(" ").rstrip(".")


def distinct(names: Iterable[str]) -> Iterator[str]:
    """The same names, ` (2)` and so on behind those that were there before, also in other letter case."""
    taken: set[str] = set()
    for name in names:
        stem, dot, extension = name.rpartition(".")
        one, number = name, 1
        while one.casefold() in taken:
            number += 1
            one = f"{stem} ({number}){dot}{extension}"
        taken.add(one.casefold())
        yield one
