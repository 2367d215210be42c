"""Log-ins with a provider, by a browser of Django's tests and `tests.fakes.openid_provider`."""

import re
from html import unescape
from typing import Any
from urllib.parse import urlsplit

from django.test import Client

from accounts.models import User
from config.log_in_providers import log_in_providers
from tests.fakes.openid_provider import CLIENT_ID, CLIENT_SECRET, OpenIDProvider

START = "/accounts/oidc/openid/login/"
CONNECTIONS = "/profile/connections"


def switch_on(settings, provider: OpenIDProvider, **others) -> None:
    settings.OPENID_SERVER_URL = provider.url
    settings.SOCIALACCOUNT_PROVIDERS = log_in_providers(
        **{"google": ("", ""), "github": ("", ""), "verified_domains": []}
        | others
        | {"openid": (CLIENT_ID, CLIENT_SECRET), "server_url": provider.url, "name": "Example ID"}
    )


def leave(client: Client, path: str = START, **fields: Any) -> str:
    """Press a provider's button; the address to which the browser is sent."""
    page = client.post(path, fields)
    assert page.status_code == 200, page
    found = re.search(r'http-equiv="refresh" content="0;url=([^"]+)"', page.content.decode())
    assert found, page.content.decode()
    return unescape(found[1])


def come_back(client: Client, place: str) -> Any:
    """Follow the provider's redirect to us."""
    parts = urlsplit(place)
    return client.get(f"{parts.path}?{parts.query}")


def log_in(client: Client, provider: OpenIDProvider, subject: str, **fields: Any) -> Any:
    """All of it; the answer on the way back."""
    return come_back(client, provider.allow(leave(client, **fields), subject))


def text_of(page) -> str:
    return re.sub(r"\s+", " ", page.content.decode())


def signed_in(client: Client) -> User | None:
    pk = client.session.get("_auth_user_id")
    return User.objects.get(pk=pk) if pk else None
