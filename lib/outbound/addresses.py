"""Which addresses we connect to on a customer's behalf, and how a host name becomes them."""

import ipaddress
import socket

from django.conf import settings

from lib.outbound.lookups import OURS, Asker

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# IANA's special-purpose registry, written out: Python's `is_global` differs between releases.
REFUSED_V4 = [
    ipaddress.IPv4Network(network)
    for network in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
        "224.0.0.0/4", "240.0.0.0/4",
        # Azure hands out credentials to virtual machines here, at a public address.
        "168.63.129.16/32",
    )
]  # fmt: skip
# The only assigned global unicast space. Loopback, link-local, unique local, mapped IPv4 and NAT64 lie outside it.
ASSIGNED_V6 = ipaddress.IPv6Network("2000::/3")
# Protocol assignments with Teredo among them, documentation twice, and 6to4.
REFUSED_V6 = [ipaddress.IPv6Network(network) for network in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")]


def is_allowed(address: Address) -> bool:
    """Whether we may connect there: a public unicast address, or one of OUTBOUND_ALLOWED_NETWORKS."""
    if any(address in network for network in settings.OUTBOUND_ALLOWED_NETWORKS):
        return True
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in REFUSED_V4)
    return address in ASSIGNED_V6 and not any(address in network for network in REFUSED_V6)


def look_up(host: str, port: int) -> list[str]:
    """Ask the system's resolver once. Raises OSError or UnicodeError for a name that it does not know."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))


def find_addresses(host: str, port: int, seconds: float, asker: Asker = OURS, *, is_trusted: bool = False) -> list[str]:
    """The addresses of a name or of a literal address; empty if there is none, or if any of them is not allowed.

    A name that mixes public and private addresses is a trap, so one bad address rejects all. An unknown name and a name
    in the private network give the same answer: callers must not learn which names exist there.
    Of a trusted host, which the operator named, each is allowed.
    Raises TimeoutError when the resolver takes longer than `seconds`, and its subclass NoPlace when it was not asked.
    """
    if _is_literal(host):
        found = [host]
    else:
        try:
            found = asker.run(look_up, host, port, seconds)
        except TimeoutError:
            # Itself an OSError.
            raise
        except (OSError, UnicodeError):
            return []
    return found if is_trusted or all(is_allowed(ipaddress.ip_address(address)) for address in found) else []


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
