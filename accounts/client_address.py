"""The address of an anonymous caller."""

import ipaddress

from django.conf import settings
from django.http import HttpRequest

# A household or a server gets a whole /64 of IPv6, so a limit on one address of it would be none.
IPV6_PREFIX = 64


def client_address(request: HttpRequest) -> str:
    """The caller's address, as it counts for limits: an IPv4 address, or the /64 network of an IPv6 one.

    Of X-Forwarded-For only the entry that the outermost of our own TRUSTED_PROXY_COUNT proxies wrote is believed;
    whatever stands to its left came from the caller.
    """
    address = request.META.get("REMOTE_ADDR", "")
    hops = [hop.strip() for hop in request.headers.get("X-Forwarded-For", "").split(",") if hop.strip()]
    if settings.TRUSTED_PROXY_COUNT and hops:
        address = hops[max(0, len(hops) - settings.TRUSTED_PROXY_COUNT)]
    return _normalised(address)


def _normalised(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, IPV6_PREFIX), strict=False))
    return str(parsed)
