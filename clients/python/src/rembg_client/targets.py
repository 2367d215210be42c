"""Where a result goes. Nothing half written is ever left, or seen, under the name that was asked for."""

from __future__ import annotations

import contextlib
import io
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, TypeAlias, Union

from rembg_client.errors import InvalidInput, OutputFailed

Output: TypeAlias = Union[str, "os.PathLike[str]", BinaryIO, None]

# A result for a stream is complete before its first byte is written: in memory up to this, then on disk.
SPOOL_BYTES = 1024 * 1024


class Target:
    """Takes the bytes of one try after another: `start`, `write` …, then `finish` or `discard`. This one keeps them."""

    path: Path | None = None

    def __init__(self) -> None:
        self.file: BinaryIO = io.BytesIO()

    def start(self) -> None:
        """Begin, or begin again."""
        self.file = io.BytesIO()

    def write(self, chunk: bytes) -> None:
        """Take some more."""
        self.file.write(chunk)

    def finish(self) -> None:
        """All of it has come."""

    def discard(self) -> None:
        """It broke off."""

    @property
    def data(self) -> bytes:
        """What came, where it is kept in memory."""
        return self.file.getvalue() if isinstance(self.file, io.BytesIO) else b""


class PathTarget(Target):
    """A file that appears, or is replaced, at once when it is complete."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path: Path = path
        self._partial = path.with_name(f".{path.name[:100]}.{secrets.token_hex(4)}.part")

    def start(self) -> None:
        self.file = self._partial.open("wb")

    def finish(self) -> None:
        self.file.close()
        os.replace(self._partial, self.path)  # noqa: PTH105 - Path.replace follows the same rules

    def discard(self) -> None:
        self.file.close()
        with contextlib.suppress(OSError):
            self._partial.unlink()


class StreamTarget(Target):
    """The caller's file or pipe, which stays open."""

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__()
        self._stream = stream

    def start(self) -> None:
        self.file = tempfile.SpooledTemporaryFile(SPOOL_BYTES)  # type: ignore[assignment]  # noqa: SIM115

    def finish(self) -> None:
        self.file.seek(0)
        shutil.copyfileobj(self.file, self._stream)
        self.file.close()

    def discard(self) -> None:
        self.file.close()


def target_of(output: Output) -> Target:
    """The target for what the caller names. Raises InvalidInput for a folder that is not there, or is one."""
    if output is None:
        return Target()
    if not isinstance(output, (str, os.PathLike)):
        return StreamTarget(output)
    path = Path(output)
    if path.is_dir():
        raise InvalidInput(f"{path} is a folder; name a file in it")
    if not path.absolute().parent.is_dir():
        raise InvalidInput(f"There is no folder {path.absolute().parent}")
    return PathTarget(path)


@contextlib.contextmanager
def reported(target: Target) -> Iterator[None]:
    """Failures of the disk as OutputFailed."""
    try:
        yield
    except OSError as error:
        name = target.path or "the output"
        raise OutputFailed(f"{name} could not be written: {error.strerror or error}") from error
