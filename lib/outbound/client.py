"""Requests to servers that a customer named: only to public addresses, within a time, at every redirect anew.

A name is resolved once for each connection, all of its addresses are checked, and the socket is opened to one of those
very addresses, so that a name which answers differently the second time gains nothing. The name stays what TLS verifies.
Proxies of the environment are not used: behind one, it would be the proxy that resolves.
"""

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from urllib.parse import urljoin

import certifi

from lib.ops.database import give_back
from lib.outbound.addresses import find_addresses
from lib.outbound.lookups import OURS, Asker, NoPlace
from lib.outbound.urls import DEFAULT_PORTS, ForbiddenTarget, InvalidUrl, OutboundError, Target, parse

REDIRECTS = (301, 302, 303, 307, 308)
# Of a name's addresses, how many are tried before it counts as unreachable.
MAX_ADDRESSES = 4
USER_AGENT = "rembg-platform"


class Unreachable(OutboundError):
    """No connection, no TLS, no HTTP, or an answer that broke off: which of them, only the log is told."""


class TooSlow(OutboundError):
    """The time was over before the answer was complete."""


class Crowded(OutboundError):
    """Nothing was asked: all look-ups of names were taken. `own_fault`: the asker's own were too slow."""

    def __init__(self, own_fault: bool) -> None:
        super().__init__("no place for another look-up")
        self.own_fault = own_fault


class TooManyRedirects(OutboundError):
    """One redirect more than is followed."""


class Answer:
    """What the server said. The body is read piece by piece, as it was sent: nothing is decompressed."""

    def __init__(self, connection: "_Connection", response: http.client.HTTPResponse) -> None:
        self._connection = connection
        self._response = response
        self.status = response.status
        self.headers = response.headers

    @property
    def left(self) -> int | None:
        """Bytes that are still to come according to the server; None where it does not say."""
        return self._response.length

    def read(self, size: int) -> bytes:
        """The next bytes, at most `size`; none at the end. Raises TooSlow, or Unreachable if it ends too early."""
        with self._connection.failures():
            data = self._response.read(size)
            if not data and self._response.length:
                raise http.client.IncompleteRead(b"", self._response.length)
            return data

    def close(self) -> None:
        """Let go of the connection."""
        self._response.close()


@contextmanager
def send(
    method: str,
    url: str,
    *,
    ports: Collection[int],
    seconds: float,
    redirects: int = 0,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    asker: Asker = OURS,
) -> Iterator[Answer]:
    """Send a request and yield the answer, whose connection ends with the block.

    `seconds` is the time for everything: names, connections, redirects and the body of the answer. Up to `redirects` are
    followed, each checked like the first address; with 0 a redirect is an answer like any other. `asker` is on whose behalf
    names are looked up.
    Raises InvalidUrl, ForbiddenTarget, TooManyRedirects, Unreachable, TooSlow or Crowded.
    """
    deadline = time.monotonic() + seconds
    target = parse(url, ports)
    # The other server may take all of that time.
    give_back()
    for _ in range(redirects + 1):
        connection = _Connection(target, deadline, asker)
        try:
            answer = connection.exchange(method, headers or {}, body)
            location = answer.headers.get("Location") if redirects and answer.status in REDIRECTS else None
            if location is None:
                yield answer
                return
        finally:
            connection.end()
        target = _follow(target, location, ports)
    raise TooManyRedirects(f"it redirects more than {redirects} times")


def _follow(target: Target, location: str, ports: Collection[int]) -> Target:
    # http.client reads headers as Latin-1; what servers write there is UTF-8.
    location = location.encode("latin-1", "replace").decode("utf-8", "replace")
    try:
        following = parse(urljoin(target.url, location), ports)
    except (InvalidUrl, ValueError) as error:
        raise ForbiddenTarget("it redirects to an address that cannot be used") from error
    if target.scheme == "https" and following.scheme == "http":
        raise ForbiddenTarget("it redirects from https to http")
    return following


@cache
def tls_context() -> ssl.SSLContext:
    """Trusts what the system and `SSL_CERT_FILE` trust, and the public authorities on a machine that has none."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


class _Connection(http.client.HTTPConnection):
    """One connection to a checked address, cut off at the deadline whatever it is doing.

    A socket's own timeout begins anew with each byte that arrives, so it cannot stop a server that drips.
    """

    def __init__(self, target: Target, deadline: float, asker: Asker) -> None:
        super().__init__(target.host, target.port)
        self.target = target
        self.deadline = deadline
        self.asker = asker
        self.default_port = DEFAULT_PORTS[target.scheme]
        self.was_cut = False
        self._answer: Answer | None = None
        self._watchdog: threading.Timer | None = None

    def remaining(self) -> float:
        """Seconds until the deadline. Raises TimeoutError when there are none."""
        seconds = self.deadline - time.monotonic()
        if seconds <= 0:
            raise TimeoutError
        return seconds

    def exchange(self, method: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
        """Connect, send the request, and read the head of the answer."""
        with self.failures():
            self.request(method, self.target.path, body, {"User-Agent": USER_AGENT, "Connection": "close", **headers})
            self._answer = Answer(self, self.getresponse())
            return self._answer

    def connect(self) -> None:
        """Called by http.client when it wants a socket."""
        addresses = find_addresses(self.target.host, self.target.port, self.remaining(), self.asker)
        if not addresses:
            raise ForbiddenTarget("its host has no public address")
        sock = self._open(addresses[:MAX_ADDRESSES])
        if self.target.scheme == "https":
            # The timeout of a handshake is one for the whole of it.
            sock.settimeout(self.remaining())
            sock = tls_context().wrap_socket(sock, server_hostname=self.target.host)
        self.sock = sock
        self._watchdog = threading.Timer(self.remaining(), self._cut, [sock])
        self._watchdog.daemon = True
        self._watchdog.start()

    def _open(self, addresses: list[str]) -> socket.socket:
        """A socket to the first address that answers; each has its share of the time that is left."""
        for left in range(len(addresses), 0, -1):
            address = addresses[-left]
            try:
                return socket.create_connection((address, self.target.port), self.remaining() / left)
            except OSError:
                if left == 1:
                    raise
        raise AssertionError("no address")

    def _cut(self, sock: socket.socket) -> None:
        self.was_cut = True
        with suppress(OSError):
            # Beneath TLS, whose own shutdown is not made for a second thread.
            socket.socket.shutdown(sock, socket.SHUT_RDWR)

    @contextmanager
    def failures(self) -> Iterator[None]:
        """Tell what goes wrong in the block in our own errors. A cut connection may look like the end of the body."""
        try:
            yield
        except (OSError, http.client.HTTPException, ValueError) as error:
            if isinstance(error, NoPlace):
                raise Crowded(error.own_fault) from error
            if self.was_cut or isinstance(error, TimeoutError):
                raise TooSlow from error
            raise Unreachable from error
        if self.was_cut:
            raise TooSlow

    def end(self) -> None:
        """Close everything and call the watchdog off."""
        if self._watchdog:
            self._watchdog.cancel()
        if self._answer:
            self._answer.close()
        self.close()


__all__ = [
    "Answer", "Crowded", "ForbiddenTarget", "InvalidUrl", "OutboundError", "Target", "TooManyRedirects", "TooSlow",
    "Unreachable", "parse", "send",
]  # fmt: skip
