"""Log-ins with a provider, by a browser of Django's tests and `tests.fakes.openid_provider`."""

import re
from html import unescape
from typing import Any
from urllib.parse import urlsplit

from django.http import HttpResponse
from django.test import Client

from tests.fakes.openid_provider import OpenIDProvider

START = "/accounts/oidc/openid/login/"


def leave(client: Client, path: str = START, **fields: Any) -> str:
    """Press a provider's button; the address to which the browser is sent."""
    page = client.post(path, fields)
    assert page.status_code == 200, page
    found = re.search(r'http-equiv="refresh" content="0;url=([^"]+)"', page.content.decode())
    assert found, page.content.decode()
    return unescape(found[1])


def come_back(client: Client, place: str) -> HttpResponse:
    """Follow the provider's redirect to us."""
    parts = urlsplit(place)
    return client.get(f"{parts.path}?{parts.query}")


def log_in(client: Client, provider: OpenIDProvider, subject: str, **fields: Any) -> HttpResponse:
    """All of it; the answer on the way back."""
    return come_back(client, provider.allow(leave(client, **fields), subject))
