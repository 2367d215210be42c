"""The list of files of a network in MNN's format. Cheap to import: a server reads it, `mnn_conversion` writes it."""

import hashlib
import json
from pathlib import Path
from typing import Any

# Written last: a folder with it is complete.
MANIFEST = "manifest.json"


def write_manifest(folder: Path, parts: list[dict[str, Any]]) -> None:
    """Record `parts`, in the order in which they run, and the checksums of all files in `folder`."""
    files = {path.name: _digest(path) for path in sorted(folder.iterdir())}
    (folder / MANIFEST).write_text(json.dumps({"parts": parts, "files": files}, indent=1) + "\n")


def read_manifest(folder: Path) -> list[dict[str, Any]]:
    """The parts in `folder`. Raises ValueError if one of its files is damaged or missing; MNN would crash on some."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        damaged = [name for name, digest in manifest["files"].items() if _digest(folder / name) != digest]
        parts: list[dict[str, Any]] = manifest["parts"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{folder} is damaged: {error}") from error
    if damaged:
        raise ValueError(f"{folder} is damaged: {', '.join(damaged)}")
    return parts


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
