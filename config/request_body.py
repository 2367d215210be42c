"""Two things about request bodies that WSGI frameworks leave out."""

from collections.abc import Callable, Iterable
from typing import Any, Protocol

# What an answer that comes early may read and throw away of the rest of a body. Many clients only look at the answer
# once they have sent everything: closing on them would show them a broken pipe instead of our message.
DRAIN_BYTES = 256 * 1024**2
CHUNK_BYTES = 64 * 1024
# Stands for "until the body ends" where the length is unknown.
UNKNOWN_LENGTH = 2**62


class Readable(Protocol):
    def read(self, size: int = ..., /) -> bytes: ...


Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class CountedBody:
    """The request body, which knows how much of itself has been read."""

    def __init__(self, stream: Readable, length: int) -> None:
        self.stream = stream
        self.remaining = length

    def read(self, size: int = -1) -> bytes:
        """Read up to `size` bytes, or everything that is left."""
        wanted = self.remaining if size < 0 else min(size, self.remaining)
        data = self.stream.read(wanted) if wanted else b""
        self.remaining = self.remaining - len(data) if data else 0
        return data

    def readline(self, size: int = -1) -> bytes:
        """WSGI asks for it; nothing here reads bodies by line."""
        return self.read(size)

    def drain(self) -> None:
        """Read and throw away what is left, up to a bound."""
        budget = DRAIN_BYTES
        while budget > 0 and (data := self.read(CHUNK_BYTES)):
            budget -= len(data)


def complete_bodies(application: Application) -> Application:
    """Wrap a WSGI application: chunked bodies are readable, and an early answer waits for the body to end.

    Django takes a body without Content-Length for empty. The server marks one that ends by itself (chunked) with
    `wsgi.input_terminated`; then any large length will do.
    """

    def wrapped(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if (
            not environ.get("CONTENT_LENGTH")
            and environ.get("wsgi.input_terminated")
            and "HTTP_TRANSFER_ENCODING" in environ
        ):
            environ["CONTENT_LENGTH"] = str(UNKNOWN_LENGTH)
        length = environ.get("CONTENT_LENGTH") or "0"
        body = CountedBody(environ["wsgi.input"], int(length) if length.isdecimal() else 0)
        environ["wsgi.input"] = body
        response = application(environ, start_response)
        body.drain()
        return response

    return wrapped
