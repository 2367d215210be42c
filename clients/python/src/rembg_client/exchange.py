"""One request and its answer, without the sockets: what the synchronous and the asynchronous client share."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import httpx

from rembg_client.errors import ConnectionFailed, InvalidInput, InvalidResponse, TimedOut, error_of
from rembg_client.sources import Part
from rembg_client.targets import Target, reported

# Error bodies of the server are far below this; a proxy's page may be anything.
MAX_ERROR_BYTES = 1024 * 1024

ProgressListener = Callable[[int, int], None]


class Deadline:
    """When a call has to be over, all tries and pauses included. `seconds` None or 0: never."""

    def __init__(self, seconds: float | None) -> None:
        self.seconds = seconds or None
        self._at = time.monotonic() + seconds if seconds else None

    def remaining(self) -> float | None:
        """Seconds left, at least a little; None without a limit."""
        return None if self._at is None else max(0.001, self._at - time.monotonic())

    def fits(self, seconds: float) -> bool:
        """Whether a pause of so many seconds ends before it."""
        return self._at is None or time.monotonic() + seconds < self._at

    def check(self) -> None:
        """Raise TimedOut if it has passed."""
        if self._at is not None and time.monotonic() >= self._at:
            raise self.error()

    def error(self) -> TimedOut:
        """What a call raises then."""
        return TimedOut(f"The call took longer than {self.seconds:g} seconds")


@dataclass(frozen=True)
class Request:
    """One request. `media_type` is how a success's Content-Type begins; `parts` are (field, file)."""

    method: str
    path: str
    media_type: str = "application/json"
    params: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    parts: Sequence[tuple[str, Part]] = ()
    target: Target = field(default_factory=Target)
    on_upload: ProgressListener | None = None

    @contextmanager
    def prepared(self, deadline: Deadline) -> Iterator[dict[str, Any]]:
        """What httpx's `stream` takes. Files are read while they are sent, and closed however that ends."""
        total = sum(part.size for _, part in self.parts)
        sent = Meter(total, self.on_upload)
        bodies = [Body(part, sent, deadline) for _, part in self.parts]
        files = [(name, (part.name, body)) for (name, part), body in zip(self.parts, bodies, strict=True)]
        arguments: dict[str, Any] = {"method": self.method, "url": self.path, "headers": dict(self.headers)}
        if self.params:
            arguments["params"] = dict(self.params)
        if files:
            arguments["files"] = files
        if self.fields:
            arguments["data"] = {
                name: value if isinstance(value, str) else list(value) for name, value in self.fields.items()
            }
        try:
            yield {**arguments, "timeout": deadline.remaining()}
        finally:
            for body in bodies:
                body.close_file()


@dataclass(frozen=True)
class Answer:
    """A success. `json` is None for anything but JSON."""

    headers: Mapping[str, str]
    json: Any
    target: Target


class Meter:
    """Reports bytes sent of all bytes."""

    def __init__(self, total: int, listener: ProgressListener | None) -> None:
        self._total, self._listener, self._sent = total, listener, 0

    def add(self, count: int) -> None:
        """Count some more."""
        self._sent += count
        if self._listener:
            self._listener(self._sent, self._total)


class Body(io.RawIOBase):
    """A file of a form while it is sent. It is opened when its turn comes, and never sends more or less than it promised."""

    def __init__(self, part: Part, sent: Meter, deadline: Deadline) -> None:
        self._part, self._sent, self._deadline = part, sent, deadline
        self._file: Any = None
        self._at = 0

    def read(self, size: int = -1) -> bytes:
        self._deadline.check()
        left = self._part.size - self._at
        if not left:
            return b""
        try:
            self._file = self._file or self._part.open()
            data: bytes = self._file.read(left if size < 0 else min(size, left))
        except OSError as error:
            raise InvalidInput(f"{self._part.name} cannot be read: {error.strerror or error}") from error
        if not data:
            raise InvalidInput(f"{self._part.name} became shorter while it was sent")
        self._at += len(data)
        self._sent.add(len(data))
        if self._at == self._part.size:
            self.close_file()
        return data

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Httpx asks for the size in this way, then goes back to the start."""
        self._at = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._part.size}[whence] + offset
        self.close_file()
        return self._at

    def close_file(self) -> None:
        """Give the file back."""
        if self._file is not None:
            self._file.close()
        self._file = None


class Reception:
    """Takes an answer piece by piece. In a `with` block: what breaks off is discarded."""

    def __init__(self, request: Request, status: int, headers: Mapping[str, str], deadline: Deadline) -> None:
        self._request, self._status, self._headers, self._deadline = request, status, headers, deadline
        media_type = headers.get("content-type", "")
        self._is_success = 200 <= status < 300
        self._is_expected = self._is_success and (status == 204 or media_type.startswith(request.media_type))
        is_json = request.media_type == "application/json" or not self._is_expected
        self._target = Target() if is_json else request.target
        self._size = 0

    def __enter__(self) -> Reception:
        with reported(self._target):
            self._target.start()
        return self

    def take(self, chunk: bytes) -> None:
        """Some more of the body."""
        self._deadline.check()
        self._size += len(chunk)
        if self._is_expected or self._size <= MAX_ERROR_BYTES:
            with reported(self._target):
                self._target.write(chunk)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is not None:
            self._target.discard()
            return
        with reported(self._target):
            try:
                self._target.finish()
            except OSError:
                self._target.discard()
                raise

    def answer(self) -> Answer:
        """The complete answer. Raises ApiError where it is no success."""
        if self._is_expected and self._request.media_type != "application/json":
            return Answer(self._headers, None, self._target)
        body = _parsed(self._target.data)
        if not self._is_success:
            raise error_of(self._status, self._headers, body)
        if not self._is_expected or (body is None and self._status != 204):
            raise InvalidResponse(
                f"The answer is not {self._request.media_type}",
                status=self._status,
                request_id=self._headers.get("x-request-id"),
            )
        return Answer(self._headers, body, self._target)


def _parsed(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return None


@contextmanager
def translated(deadline: Deadline) -> Iterator[None]:
    """Httpx's errors as ours."""
    try:
        yield
    except httpx.TimeoutException as error:
        raise deadline.error() from error
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise InvalidInput(f"The server's address cannot be used: {error}") from error
    except httpx.HTTPError as error:
        reason = f": {error}" if str(error) else ""
        raise ConnectionFailed(f"The server could not be reached, or the connection broke{reason}") from error
