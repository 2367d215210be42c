"""The address that a connection, or a request on it, counts against."""

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest

from lib.web.errors import ApiError


def peer_address(addr: Any) -> str:
    """The peer's address as limits count it; empty on a Unix socket, which has none."""
    return forwarded_address({}, str(addr[0]) if addr else "")


def forwarded_address(headers: Mapping[str, str], peer: str) -> str:
    """The caller's address as limits count it, from the request's headers; empty if unknown."""
    # accounts decides that, and is there once Django is.
    from lib.web.client_address import client_address

    request = HttpRequest()
    request.META = {"REMOTE_ADDR": peer, "HTTP_X_FORWARDED_FOR": headers.get("X_FORWARDED_FOR", "")}
    try:
        address = client_address(request)
    except ApiError:
        return ""
    return "" if address == "unknown" else address
