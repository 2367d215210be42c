"""Parses a customer's URL, as strictly as something that we will connect to must be parsed."""

import ipaddress
import re
import string
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

import idna

MAX_URL = 4096
MAX_HOST = 253
DEFAULT_PORTS = {"http": 80, "https": 443}
# Parsers disagree about these, and so about where the host begins. Half a surrogate pair is not text.
CONFUSING = re.compile(r"[\x00-\x20\x7f\\\ud800-\udfff]")
BRACKETED = re.compile(r"\[[0-9A-Fa-f:.]+\](:[0-9]*)?")
# Underscores are not allowed in host names, but there are some.
NAME = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*")
# What the system's resolver takes for the end of an IPv4 address: 2130706433, 0x7f.1, 127.1.
NUMERIC_END = re.compile(r"([0-9]+|0[xX][0-9a-fA-F]*)")


class OutboundError(Exception):
    """A request to another server failed. `reason` is a clause in English that may be shown to customers."""

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)
        self.reason = reason


class InvalidUrl(OutboundError):
    """The address could not be fetched wherever it led."""


class ForbiddenTarget(OutboundError):
    """The address leads to a target that is off limits for customers' requests."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request goes. `host` is a lower-case ASCII name or a canonical address; `path` includes the query."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def origin(self) -> str:
        """The address as text, without its path."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    @property
    def url(self) -> str:
        """The address as text."""
        return f"{self.origin}{self.path}"


def parse(url: str, ports: Collection[int]) -> Target:
    """Read an http or https address. Raises InvalidUrl, or ForbiddenTarget for a port that is not one of `ports`."""
    if len(url) > MAX_URL:
        raise InvalidUrl(f"it is longer than {MAX_URL} characters")
    if CONFUSING.search(url):
        raise InvalidUrl("it contains a space, a backslash or a character that cannot be sent")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise InvalidUrl("its host or port cannot be read") from error
    if parts.scheme not in DEFAULT_PORTS:
        raise InvalidUrl("it must begin with http:// or https://")
    if "@" in parts.netloc:
        raise InvalidUrl("it may not have a user name or password")
    if "[" in parts.netloc and not BRACKETED.fullmatch(parts.netloc):
        raise InvalidUrl("its host or port cannot be read")
    port = DEFAULT_PORTS[parts.scheme] if port is None else port
    target = Target(parts.scheme, _read_host(parts.hostname or ""), port, _read_path(parts.path, parts.query))
    if port not in ports:
        raise ForbiddenTarget(f"port {port} is not allowed")
    return target


def _read_host(host: str) -> str:
    try:
        host = host.removesuffix(".")
        if not host.isascii():
            host = idna.encode(host, uts46=True).decode("ascii")
        if ":" in host:
            return str(ipaddress.IPv6Address(host))
        if NUMERIC_END.fullmatch(host.rpartition(".")[2]):
            return str(ipaddress.IPv4Address(host))
    except ValueError as error:
        raise InvalidUrl("its host is not a valid name or address") from error
    if len(host) > MAX_HOST or not NAME.fullmatch(host.lower()):
        raise InvalidUrl("its host is not a valid name or address")
    return host.lower()


def _read_path(path: str, query: str) -> str:
    # ASCII stays unchanged, encoded or not: servers compare signatures of the exact text.
    path = quote(path or "/", safe=string.punctuation)
    return f"{path}?{quote(query, safe=string.punctuation)}" if query else path
