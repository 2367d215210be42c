"""Requests with `image_url`, and what a refusal leaves."""

from django.test import Client

from billing.models import Hold, UsageWindow
from tests.imaging.removal.forms import form

PRIVATE = "'image_url' may not be fetched: its host has no public address."
UNREACHABLE = "The server of 'image_url' could not be reached, or its answer broke off."


def ask(url: str, key: str | None = None, **fields: str):
    headers = {"x-api-key": key} if key else {}
    return Client(headers=headers).post("/rmbg", **form(None, image_url=url, **fields))


def assert_refused(response, code: str, message: str | None = None) -> None:
    """A 400 that cost nothing and left nothing."""
    assert (response.status_code, response.json()["code"]) == (400, code), response.content
    if message is not None:
        assert response.json() == {"error": message, "code": code, "status": 400}
    assert not Hold.objects.exists()
    assert not any(window.used for window in UsageWindow.objects.all())
