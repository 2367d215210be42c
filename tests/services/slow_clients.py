"""Clients that are slow on purpose, or send what no client should: raw sockets."""

import json
import socket
import struct
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import requests

BIG_STATIC = "/static/drf_spectacular_sidecar/swagger-ui-dist/swagger-ui-bundle.js"


@dataclass(frozen=True)
class RawAnswer:
    """A response as received; `status` is 0 where the server only closed the connection."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str:
        return json.loads(self.body)["code"]


def exchange(port: int, sent: bytes, *, seconds: float = 10, half_close: bool = False) -> RawAnswer:
    """Send bytes and read until the server closes, or the response is complete."""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as connection:
        connection.sendall(sent)
        if half_close:
            connection.shutdown(socket.SHUT_WR)
        return read_answer(connection)


def read_answer(connection: socket.socket) -> RawAnswer:
    """Read one response."""
    received = b""
    while True:
        head, divider, body = received.partition(b"\r\n\r\n")
        if divider:
            first, *lines = head.decode().split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in lines)
            if len(body) >= int(headers.get("content-length", 10**12)):
                return RawAnswer(int(first.split()[1]), headers, body)
        data = connection.recv(65536)
        if not data:
            if not divider:
                return RawAnswer(0, {}, b"")
            return RawAnswer(int(first.split()[1]), headers, body)
        received += data


def head(method: str, path: str, *lines: str) -> bytes:
    """A request's head."""
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *lines, "", ""]).encode()


FORM = "Content-Type: multipart/form-data; boundary=XX"
PART = b'--XX\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
# What each sends at once, and then every second. `None` reads nothing instead.
MODES: dict[str, tuple[bytes, bytes | None]] = {
    "idle": (b"", b""),
    "one byte": (b"G", b""),
    "headers": (b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n", b"X-a: b\r\n"),
    "body of a GET": (head("GET", "/healthz", "Content-Length: 100000"), b"a"),
    "body with a wrong key": (head("POST", "/rmbg", "x-api-key: no", FORM, "Content-Length: 1000000"), b"a"),
    "form of a page": (
        head("POST", "/accounts/login/", "Content-Type: application/x-www-form-urlencoded", "Content-Length: 100000"),
        b"a",
    ),
    "upload without a key": (head("POST", "/rmbg", FORM, "Content-Length: 1000000") + PART, b"a"),
    "chunked upload": (head("POST", "/rmbg", FORM, "Transfer-Encoding: chunked"), b"1\r\na\r\n"),
    "reader of a file": (head("GET", BIG_STATIC), None),
}


class SlowClients:
    """Many connections of one kind."""

    def __init__(self, port: int, mode: str, count: int, *, source: str = "127.0.0.1") -> None:
        first, self.drop = MODES[mode]
        self.sockets = [self._connect(port, first, source) for _ in range(count)]
        self.ended = 0

    def _connect(self, port: int, first: bytes, source: str) -> socket.socket:
        made = socket.socket()
        if self.drop is None:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        made.settimeout(10)
        made.bind((source, 0))
        made.connect(("127.0.0.1", port))
        made.sendall(first)
        made.setblocking(False)
        return made

    def dribble(self) -> None:
        """Send the next few bytes on each, and find those that the server has closed."""
        for connection in list(self.sockets):
            ended = is_reset(connection) if self.drop is None else self._send(connection, self.drop)
            if ended:
                connection.close()
                self.sockets.remove(connection)
                self.ended += 1

    def _send(self, connection: socket.socket, drop: bytes) -> bool:
        try:
            if drop:
                connection.send(drop)
            # A response that gives the reason, then the end.
            while connection.recv(4096):
                pass
            return True
        except BlockingIOError:
            return False
        except OSError:
            return True

    def close(self) -> None:
        """Close every connection."""
        for connection in self.sockets:
            connection.close()


def is_reset(connection: socket.socket) -> bool:
    """Whether the server has closed a connection that we do not read, according to the kernel's state."""
    state = struct.unpack("B", connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1))[0]
    return state != 1  # TCP_ESTABLISHED


@contextmanager
def slow_clients(port: int, mode: str, count: int, *, source: str = "127.0.0.1") -> Iterator[SlowClients]:
    """Connections that exist during the block."""
    clients = SlowClients(port, mode, count, source=source)
    try:
        yield clients
    finally:
        clients.close()


def modes_given_up(port: int, modes: Iterable[str], seconds: float) -> set[str]:
    """Of five clients of each mode, sending their few bytes all the while: the modes of which all ended in time."""
    with ExitStack() as stack:
        waiting = {mode: stack.enter_context(slow_clients(port, mode, 5)) for mode in modes}

        def are_gone() -> bool:
            time.sleep(0.3)
            for clients in waiting.values():
                clients.dribble()
            return all(clients.ended == 5 for clients in waiting.values())

        wait_until(are_gone, seconds)
        return {mode for mode, clients in waiting.items() if clients.ended == 5}


def is_served(url: str, *, seconds: float = 5) -> bool:
    """Whether an honest caller gets a response."""
    try:
        return requests.get(f"{url}/healthz", timeout=seconds).status_code == 200
    except requests.RequestException:
        return False


def wait_until(condition, seconds: float = 15) -> bool:
    """Whether the condition becomes true in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.1)
    return bool(condition())
