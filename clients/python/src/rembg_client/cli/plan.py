"""What is to be done: which images, and where each result goes."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from rembg_client.errors import InvalidInput

# What the server takes, by the extension. A file that is given by its path is sent whatever its name.
EXTENSIONS = (".webp", ".bmp", ".png", ".jpg", ".jpeg")
DEFAULT_NAME = "{stem}.{ext}"


@dataclass(frozen=True)
class Job:
    """One image: a file or an address, and the file for its result. `size` in bytes and `changed` in ns are a file's."""

    source: str
    output: Path
    size: int = 0
    changed: int = 0

    @property
    def image(self) -> str | Path:
        """What the client takes."""
        return self.source if is_address(self.source) else Path(self.source)


@dataclass(frozen=True)
class Selection:
    """Which files of a folder, and what their results are called."""

    out: Path
    pattern: str = ""
    recursive: bool = True
    name: str = DEFAULT_NAME
    extension: str = "webp"


def is_address(text: str) -> bool:
    """Whether it is an http address."""
    return text.lower().startswith(("http://", "https://"))


def extension_for(options: Mapping[str, Any]) -> str:
    """The extension of results with these options."""
    asked = str(options.get("format") or "webp").lower()
    return "jpg" if asked == "jpeg" else asked


def make_jobs(inputs: Iterable[str], selection: Selection) -> list[Job]:
    """One job for each image, folders kept. Raises InvalidInput for an input that is not there, and where two results would
    have one name, or a result the name of an image."""
    jobs = [job for text in inputs for job in _jobs_of(text, selection)]
    taken: dict[Path, str] = {}
    for job in jobs:
        other = taken.setdefault(job.output, job.source)
        if other != job.source:
            raise InvalidInput(
                f"{other} and {job.source} would both become {job.output}. Name results by another pattern, "
                "for example --name '{name}.{ext}'"
            )
    sources = {Path(job.source).resolve() for job in jobs if not is_address(job.source)}
    for job in jobs:
        if job.output.resolve() in sources:
            raise InvalidInput(f"The result would replace an image: {job.output}. Choose another folder or --name")
    return list({job.output: job for job in jobs}.values())


def _jobs_of(text: str, selection: Selection) -> Iterator[Job]:
    if is_address(text):
        name = PurePosixPath(unquote(urlsplit(text).path)).name or "image"
        yield Job(text, selection.out / _result_name(PurePosixPath(name).name, selection))
        return
    path = Path(text)
    if path.is_dir():
        for file in _files_in(path, selection):
            folder = selection.out / file.relative_to(path).parent
            yield _job(file, folder / _result_name(file.name, selection))
    elif path.exists():
        yield _job(path, selection.out / _result_name(path.name, selection))
    else:
        raise InvalidInput(f"There is no file or folder {text}")


def _job(path: Path, output: Path) -> Job:
    facts = path.stat()
    return Job(str(path), output, facts.st_size, facts.st_mtime_ns)


def _files_in(folder: Path, selection: Selection) -> Iterator[Path]:
    """In order of name. Hidden files and the results themselves, where they go into the same folder, are left out."""
    results = selection.out.resolve()
    is_inside = results != folder.resolve()
    for path in sorted(folder.rglob("*") if selection.recursive else folder.glob("*")):
        within = path.relative_to(folder)
        if any(part.startswith(".") for part in within.parts) or not path.is_file():
            continue
        if is_inside and path.resolve().is_relative_to(results):
            continue
        if _is_wanted(within, selection.pattern):
            yield path


def _is_wanted(within: Path, pattern: str) -> bool:
    if not pattern:
        return within.suffix.lower() in EXTENSIONS
    return fnmatch.fnmatch(within.name, pattern) or fnmatch.fnmatch(within.as_posix(), pattern)


def _result_name(name: str, selection: Selection) -> str:
    facts = {"stem": PurePosixPath(name).stem, "name": name, "ext": selection.extension}
    try:
        made = selection.name.format(**facts)
    except (KeyError, IndexError, ValueError) as error:
        raise InvalidInput("--name may hold {stem}, {name} and {ext}: " + repr(selection.name)) from error
    if PurePosixPath(made).name != made or made in ("", ".", ".."):
        raise InvalidInput(f"--name makes {made!r}, which is not a file name")
    return made
