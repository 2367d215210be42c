"""What became of each image, stored next to the results, so that the same command resumes after an interruption."""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rembg_client.cli.plan import Job
from rembg_client.errors import OutputFailed

FILE_NAME = ".rmbg-journal.jsonl"


@dataclass(frozen=True)
class Entry:
    """An image that was done, or that the server refused. `error` and `code` are empty for one that was done."""

    identity: str
    output: str
    code: str = ""
    error: str = ""


class Journal:
    """One line of JSON for each image, appended as it ends: a line that a crash cut off is ignored. Threads may share it."""

    def __init__(self, folder: Path, options: Mapping[str, Any]) -> None:
        self._path = folder / FILE_NAME
        self._options = json.dumps(dict(options), sort_keys=True, default=str)
        self._lock = threading.Lock()
        self._entries = dict(_lines_of(self._path))

    def identity(self, job: Job) -> str:
        """The same for the same file, unchanged, with the same options and result: also its idempotency key."""
        source = job.source if job.size == job.changed == 0 else str(Path(job.source).resolve())
        facts = [source, job.size, job.changed, str(job.output.resolve()), self._options]
        return "rmbg-" + hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:40]

    def find(self, job: Job) -> Entry | None:
        """What became of the job, if nothing has changed since and its result is still there."""
        entry = self._entries.get(self._key(job))
        if entry is None:
            return self._foreign(job)
        if entry.identity != self.identity(job):
            return None
        return entry if entry.error or (self._path.parent / entry.output).is_file() else None

    def note(self, job: Job, output: Path, *, code: str = "", error: str = "") -> None:
        """Keep what became of a job. Raises OutputFailed."""
        entry = Entry(self.identity(job), self._relative(output), code, error)
        line = json.dumps({"job": self._key(job), **vars(entry)}) + "\n"
        try:
            with self._lock, self._path.open("a", encoding="utf-8") as file:
                file.write(line)
        except OSError as problem:
            raise OutputFailed(f"{self._path} could not be written: {problem.strerror}") from problem
        self._entries[self._key(job)] = entry

    def _key(self, job: Job) -> str:
        return self._relative(job.output)

    def _relative(self, output: Path) -> str:
        with contextlib.suppress(ValueError):
            return output.relative_to(self._path.parent).as_posix()
        return str(output)

    def _foreign(self, job: Job) -> Entry | None:
        """A result that is there without an entry counts if it is newer than its image."""
        with contextlib.suppress(OSError):
            if job.changed and job.output.stat().st_mtime_ns >= job.changed:
                return Entry(self.identity(job), self._relative(job.output))
        return None


def _lines_of(path: Path) -> list[tuple[str, Entry]]:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        with contextlib.suppress(ValueError, TypeError, KeyError):
            row = json.loads(line)
            found.append((row.pop("job"), Entry(**row)))
    return found
