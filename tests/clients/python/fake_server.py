"""A server that does what the product cannot be made to do on demand. It gives the nth answer to the nth request, and the
last one from then on."""

import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

IMAGE = bytes([7]) * 300_000
FACTS = {"x-width": "3", "x-height": "2", "x-credits-charged": "1", "x-model": "fake", "x-request-id": "r-1"}


@dataclass
class Seen:
    """A request as it came. `body` is empty where the answer did not read it."""

    path: str
    headers: Message
    body: bytes = b""

    @property
    def fields(self) -> dict[str, str]:
        """The text fields of its form."""
        return {name: part.get_payload(decode=True).decode() for name, part in self._parts() if not part.get_filename()}

    @property
    def files(self) -> list[tuple[str, str, bytes]]:
        """(field, file name, bytes) of its form's files."""
        parts = [(name, part) for name, part in self._parts() if part.get_filename()]
        return [(name, part.get_filename() or "", part.get_payload(decode=True)) for name, part in parts]

    def _parts(self) -> Iterator[tuple[str, Any]]:
        head = f"Content-Type: {self.headers['content-type']}\r\n\r\n".encode()
        parsed = BytesParser().parsebytes(head + self.body)
        parts: Any = parsed.get_payload() if parsed.is_multipart() else []
        for part in parts:
            yield str(part.get_param("name", header="content-disposition")), part


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server: "FakeServer"

    def answer(self) -> None:
        seen = Seen(self.path, self.headers)
        with self.server.lock:
            give = self.server.answers[min(len(self.server.seen), len(self.server.answers) - 1)]
            self.server.seen.append(seen)
        if not getattr(give, "is_early", False):
            seen.body = self.rfile.read(int(self.headers.get("content-length", 0)))
        try:
            give(self)
        except (ConnectionError, TimeoutError):
            self.close_connection = True

    do_GET = do_POST = do_DELETE = answer

    def respond(self, status: int, headers: Mapping[str, str], body: bytes, length: int | None = None) -> None:
        """Send an answer, of another length than it promises if `length` says so."""
        self.send_response(status)
        for name, value in {"content-type": "application/json", **headers}.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def hang_up(self) -> None:
        """Break the connection."""
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: object) -> None:
        pass


Give = Callable[[Handler], None]


class FakeServer(ThreadingHTTPServer):
    """The server, and what it has seen."""

    daemon_threads = True

    def __init__(self, answers: tuple[Give, ...]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers, self.seen, self.lock = answers, list[Seen](), threading.Lock()
        self.url = f"http://127.0.0.1:{self.server_port}"


@contextmanager
def fake_server(*answers: Give) -> Iterator[FakeServer]:
    """Run one."""
    server = FakeServer(answers)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def answering(status: int, body: object = "", headers: Mapping[str, str] | None = None) -> Give:
    """An answer with a text, or with JSON."""
    data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    return lambda handler: handler.respond(status, headers or {}, data)


def image(handler: Handler) -> None:
    """A success."""
    handler.respond(200, {"content-type": "image/png", **FACTS}, IMAGE)


def refusal(status: int, code: str, **headers: str) -> Give:
    """An error of the product's shape."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return answering(status, {"error": f"told: {code}", "code": code, "status": status}, sent)


def break_off(handler: Handler) -> None:
    """Half a success, and then the connection is gone."""
    handler.respond(200, {"content-type": "image/png"}, IMAGE[: len(IMAGE) // 2], len(IMAGE))
    handler.hang_up()


def hang_up(handler: Handler) -> None:
    """The connection is gone while the form is being sent."""
    handler.hang_up()


hang_up.is_early = True  # type: ignore[attr-defined]


def drip(handler: Handler) -> None:
    """A success that never ends."""
    handler.respond(200, {"content-type": "image/png"}, b".", 10_000_000)
    event = threading.Event()
    while not event.wait(0.01):
        handler.wfile.write(b".")


@dataclass
class Listener:
    """Collects what a progress listener gets."""

    events: list[tuple[int, int]] = field(default_factory=list)

    def __call__(self, sent: int, total: int) -> None:
        self.events.append((sent, total))
