"""The address of an anonymous caller."""

import ipaddress
import logging
import re

from django.conf import settings
from django.http import HttpRequest

from lib.web.errors import ApiError, from_status

logger = logging.getLogger(__name__)

# A household or a server gets a whole IPv6 /64, so a limit on a single address would limit nothing.
IPV6_PREFIX = 64
# Some proxies add the caller's port: 9.9.9.9:1234, [2001:db8::1]:443. The port says nothing about the caller.
_WITH_PORT = re.compile(r"(?P<v4>[0-9.]+):[0-9]*|\[(?P<v6>[^\]]+)\](:[0-9]*)?")


def client_address(request: HttpRequest) -> str:
    """The caller's address for limits: an IPv4 address, or the /64 network of an IPv6 one.

    In X-Forwarded-For only the entry written by the outermost of our own TRUSTED_PROXY_COUNT proxies is trusted; anything
    to its left came from the caller. Raises ApiError 400 `bad_request` for an entry that is not an address: counting it
    would give all callers of such a proxy one shared allowance.
    """
    hops = [hop.strip() for hop in request.headers.get("X-Forwarded-For", "").split(",") if hop.strip()]
    if settings.TRUSTED_PROXY_COUNT and hops:
        entry = hops[max(0, len(hops) - settings.TRUSTED_PROXY_COUNT)]
        address = _normalised(entry)
        if address is None:
            raise _unreadable(entry)
        return address
    # The peer on a Unix socket has no address.
    return _normalised(request.META.get("REMOTE_ADDR", "")) or "unknown"


def _normalised(text: str) -> str | None:
    text = text.strip('"')
    match = _WITH_PORT.fullmatch(text)
    address = (match["v4"] or match["v6"]) if match else text
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, IPV6_PREFIX), strict=False))
    return str(parsed)


def _unreadable(entry: str) -> ApiError:
    facts = {"entry": entry[:60], "trusted_proxy_count": settings.TRUSTED_PROXY_COUNT}
    logger.error("X-Forwarded-For has no address at the position given by TRUSTED_PROXY_COUNT", extra=facts)
    return from_status(400)
