"""Requests to servers that a customer named: only to public addresses, within a time, with the same checks at each redirect.

A name is resolved once per connection, all of its addresses are checked, and libcurl receives exactly those addresses with
the request. libcurl itself resolves nothing, so a name that resolves differently the second time gains nothing (DNS
rebinding), and a socket to any other address is refused when it is opened. TLS still verifies the name.
docs/adr/0008-outbound-http.md says why libcurl.
"""

import http.client
import io
import ipaddress
import os
import re
import socket
import ssl
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import certifi
import pycurl

from lib.brand import user_agent
from lib.ops.database import give_back
from lib.outbound.addresses import find_addresses
from lib.outbound.lookups import OURS, Asker, NoPlace
from lib.outbound.urls import ForbiddenTarget, InvalidUrl, OutboundError, Target, parse

REDIRECTS = (301, 302, 303, 307, 308)
# How many of a name's addresses are tried before it counts as unreachable.
MAX_ADDRESSES = 4
# The largest piece of a body. libcurl's own 16 kB would call Python sixteen times as often.
PIECE_BYTES = 256 * 1024


class Unreachable(OutboundError):
    """No connection, no TLS, no HTTP, or a truncated response. Only the log says which."""


class TooSlow(OutboundError):
    """The time limit passed before the response was complete."""


class Crowded(OutboundError):
    """No request was made: all places for name look-ups were taken. `own_fault`: by the owner's own slow look-ups."""

    def __init__(self, own_fault: bool) -> None:
        super().__init__("no place for another look-up")
        self.own_fault = own_fault


class TooManyRedirects(OutboundError):
    """One redirect more than is followed."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The head of the response. `length` is the size of the body in bytes; None if the server does not say."""

    status: int
    headers: http.client.HTTPMessage
    length: int | None


# Reads the head and returns the function that takes the body piece by piece, as sent: nothing is decompressed. None means
# that the body is not wanted. An exception from either ends the request and is raised by `send`.
Receiver = Callable[[Answer], Callable[[bytes], object] | None]


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
    trusted_hosts: Collection[str] = (),
    receive: Receiver = lambda answer: None,
) -> Answer:
    """Send a request and return the head of the response once `receive` has had the body. By default no body is read.

    `seconds` covers everything: names, connections, redirects and the response body. Up to `redirects` are followed, each
    checked like the first address; with 0 a redirect is a response like any other. `asker` is on whose behalf names are
    looked up. `trusted_hosts` are hosts that the operator named: their addresses need not be public.
    Raises InvalidUrl, ForbiddenTarget, TooManyRedirects, Unreachable, TooSlow or Crowded.
    """
    deadline = time.monotonic() + seconds
    target = parse(url, ports)
    # The other server may take all of that time.
    give_back()

    def location_of(answer: Answer) -> str | None:
        return answer.headers.get("Location") if redirects and answer.status in REDIRECTS else None

    for _ in range(redirects + 1):
        addresses = _resolve(target, deadline, asker, is_trusted=target.host in trusted_hosts)
        transfer = _Transfer(addresses, lambda answer: None if location_of(answer) is not None else receive(answer))
        answer = transfer.run(_options(target, addresses, method, headers or {}, body), deadline)
        location = location_of(answer)
        if location is None:
            return answer
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


def _remaining(deadline: float) -> float:
    """Seconds until the deadline. Raises TooSlow once it has passed."""
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise TooSlow
    return seconds


def _resolve(target: Target, deadline: float, asker: Asker, *, is_trusted: bool) -> list[str]:
    """The addresses that may be tried. Raises ForbiddenTarget, TooSlow or Crowded."""
    try:
        addresses = find_addresses(target.host, target.port, _remaining(deadline), asker, is_trusted=is_trusted)
    except NoPlace as error:
        raise Crowded(error.own_fault) from error
    except TimeoutError as error:
        raise TooSlow from error
    if not addresses:
        raise ForbiddenTarget("its host has no public address")
    return addresses[:MAX_ADDRESSES]


def _options(
    target: Target, addresses: list[str], method: str, headers: Mapping[str, str], body: bytes | None
) -> dict[int, Any]:
    """The options of libcurl. It leaves cookies, HSTS and Alt-Svc off by default."""
    # Without a value, libcurl leaves out a header that it would add.
    lines = [f"{name}:" for name in ("Accept", "Content-Type", "Expect") if name not in headers]
    sent = {"Accept-Encoding": "identity", "User-Agent": user_agent(), "Connection": "close", **headers}
    resolved = ",".join(f"[{address}]" if ":" in address else address for address in addresses)
    options = {
        # libcurl never parses the path, which it would read in its own way.
        pycurl.URL: target.origin,
        pycurl.REQUEST_TARGET: target.path,
        pycurl.CUSTOMREQUEST: method,
        pycurl.HTTPHEADER: [*lines, *(f"{name}: {value}" for name, value in sent.items())],
        pycurl.RESOLVE: [f"{target.host}:{target.port}:{resolved}"],
        pycurl.PROTOCOLS: pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS,
        pycurl.HTTP_VERSION: pycurl.CURL_HTTP_VERSION_1_1,
        pycurl.FOLLOWLOCATION: 0,
        pycurl.NETRC: pycurl.NETRC_IGNORED,
        # An empty value overrides the environment's proxy: a proxy would resolve the name itself.
        pycurl.PROXY: "",
        # No signals: they belong to the process, and this is only one of its threads.
        pycurl.NOSIGNAL: 1,
        pycurl.BUFFERSIZE: PIECE_BYTES,
        **(_trust() if target.scheme == "https" else {}),
    }
    return options if body is None else {**options, pycurl.POSTFIELDS: body}


def _trust() -> dict[int, Any]:
    paths = ssl.get_default_verify_paths()
    return {
        pycurl.SSL_VERIFYPEER: 1,
        pycurl.SSL_VERIFYHOST: 2,
        pycurl.SSLVERSION: pycurl.SSLVERSION_TLSv1_2,
        pycurl.CAINFO_BLOB: trusted_certificates(),
        # OpenSSL searches folders only for the certificate that it needs.
        pycurl.CAPATH: os.environ.get(paths.openssl_capath_env, paths.openssl_capath),
        # The system's own store, where it is not a file: Windows and macOS.
        pycurl.SSL_OPTIONS: pycurl.SSLOPT_NATIVE_CA,
    }


@cache
def trusted_certificates() -> bytes:
    """PEM of the system's file or `SSL_CERT_FILE`, plus the public authorities for a machine that has none.

    Without duplicates: OpenSSL reads all of them for each connection, 5 ms for the 140 public ones.
    """
    files = [file for file in (ssl.get_default_verify_paths().cafile, certifi.where()) if file]
    texts = b"\n".join(Path(file).read_bytes() for file in files)
    found = re.findall(
        rb"-----BEGIN (?:TRUSTED )?CERTIFICATE-----.+?-----END (?:TRUSTED )?CERTIFICATE-----", texts, re.DOTALL
    )
    return b"\n".join([*dict.fromkeys(found), b""])


class _Transfer:
    """One request and its response. libcurl does the work, without the GIL, and calls the methods here in the same thread.

    Their exceptions must not reach pycurl, which would print them.
    """

    def __init__(self, addresses: list[str], receive: Receiver) -> None:
        self._addresses = {ipaddress.ip_address(address) for address in addresses}
        self._receive = receive
        self._open = ExitStack()
        self._lines: list[bytes] = []
        self._answer: Answer | None = None
        self._take: Callable[[bytes], object] | None = None
        self._failure: BaseException | None = None

    def run(self, options: dict[int, Any], deadline: float) -> Answer:
        """Run the transfer. Raises Unreachable, TooSlow, ForbiddenTarget, or what the receiver raised."""
        failed = None
        with ExitStack() as self._open, closing(pycurl.Curl()) as curl:
            for option, value in options.items():
                curl.setopt(option, value)
            curl.setopt(pycurl.OPENSOCKETFUNCTION, self._open_socket)
            curl.setopt(pycurl.HEADERFUNCTION, self._read_line)
            curl.setopt(pycurl.WRITEFUNCTION, self._write)
            # libcurl takes 0 as no limit.
            curl.setopt(pycurl.TIMEOUT_MS, max(1, round(_remaining(deadline) * 1000)))
            try:
                curl.perform()
            except pycurl.error as error:
                failed = error
        if self._failure:
            raise self._failure
        # A transfer that we ended after the head counts as failed, too.
        if self._answer and (not failed or not self._take):
            return self._answer
        timed_out = failed and failed.args[0] == pycurl.E_OPERATION_TIMEDOUT
        raise (TooSlow if timed_out else Unreachable) from failed

    def _open_socket(self, purpose: int, address: Any) -> socket.socket | int:
        if ipaddress.ip_address(address.addr[0]) in self._addresses:
            # pycurl works with a copy.
            return self._open.enter_context(socket.socket(address.family, address.socktype, address.protocol))
        self._failure = ForbiddenTarget("its host has no public address")
        return int(pycurl.SOCKET_BAD)

    def _read_line(self, line: bytes) -> int | None:
        """Called with each line of a head, and of the trailer of a chunked body. -1 ends the transfer."""
        if self._answer:
            return None
        self._lines.append(line)
        if line.strip(b"\r\n"):
            return None
        try:
            self._read_head()
        except BaseException as error:
            self._failure = error
        return None if self._take or not self._answer else -1

    def _read_head(self) -> None:
        (start, *lines), self._lines = self._lines, []
        status = int(start.split(maxsplit=2)[1])
        if status < 200:
            # A 1xx only announces the response.
            return
        try:
            headers = http.client.parse_headers(io.BytesIO(b"".join(lines)))
        except http.client.HTTPException as error:
            # A line too long, or too many lines, for http.client.
            raise Unreachable from error
        self._answer = Answer(status, headers, _length_of(headers))
        self._take = self._receive(self._answer)

    def _write(self, data: bytes) -> int | None:
        try:
            if self._take:
                self._take(data)
        except BaseException as error:
            self._failure = error
            return -1
        return None


def _length_of(headers: http.client.HTTPMessage) -> int | None:
    length = headers.get("Content-Length", "").strip()
    # Chunks count themselves. More digits than these are no size.
    return int(length) if re.fullmatch(r"[0-9]{1,18}", length) and "Transfer-Encoding" not in headers else None


__all__ = [
    "Answer", "Crowded", "ForbiddenTarget", "InvalidUrl", "OutboundError", "Target", "TooManyRedirects", "TooSlow",
    "Unreachable", "parse", "send",
]  # fmt: skip
