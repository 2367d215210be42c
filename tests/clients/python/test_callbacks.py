"""`verify_callback` against callbacks that the product signs."""

import json
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import cast

import pytest
from django.utils import timezone
from rembg_client import InvalidInput, InvalidSignature, verify_callback

from imaging.callbacks.secrets import new_secret, sign
from imaging.models import CallbackSecret

BODY = json.dumps({"type": "batch.finished", "data": {"id": "1"}})


def signed(
    secret: str, *, at: datetime | None = None, previous: str = "", message: str = "message-1", body: str = BODY
) -> dict[str, str]:
    """The headers that the product sends."""
    now = at or timezone.now()
    until = now + timedelta(hours=1) if previous else None
    keys = SimpleNamespace(secret=secret, previous=previous, previous_until=until)
    return sign(cast(CallbackSecret, keys), message, now, body)


def test_a_genuine_callback_is_parsed():
    secret = new_secret()
    assert verify_callback(signed(secret), BODY, secret) == json.loads(BODY)
    assert verify_callback(signed(secret), BODY.encode(), secret + "\n") == json.loads(BODY)


def test_header_names_may_have_any_letter_case():
    secret = new_secret()
    headers = {name.title(): value for name, value in signed(secret).items()}
    assert verify_callback(headers, BODY, secret)


def test_the_old_and_the_new_secret_both_verify_during_a_rotation():
    old, new = new_secret(), new_secret()
    headers = signed(new, previous=old)
    assert verify_callback(headers, BODY, old) == verify_callback(headers, BODY, new)


@pytest.mark.parametrize(
    "change",
    [
        {"webhook-id": "message-2"}, {"webhook-timestamp": "1"}, {"webhook-timestamp": "soon"}, {"webhook-timestamp": "١٢"},
        {"webhook-signature": "v1,AAAA"}, {"webhook-signature": "v1,é"}, {"webhook-signature": ""}, {"webhook-id": ""},
    ],
    ids=str,
)  # fmt: skip
def test_a_changed_header_is_refused(change):
    secret = new_secret()
    with pytest.raises(InvalidSignature):
        verify_callback(signed(secret) | change, BODY, secret)


def test_another_version_of_the_signature_is_refused():
    secret = new_secret()
    headers = signed(secret)
    headers["webhook-signature"] = "v2" + headers["webhook-signature"][2:]
    with pytest.raises(InvalidSignature):
        verify_callback(headers, BODY, secret)


def test_another_body_another_secret_and_no_headers_are_refused():
    secret = new_secret()
    for headers, body, key in (
        (signed(secret), BODY + " ", secret),
        (signed(secret), BODY, new_secret()),
        ({}, BODY, secret),
    ):
        with pytest.raises(InvalidSignature):
            verify_callback(headers, body, key)


@pytest.mark.parametrize("seconds", [-301, 302])
def test_a_callback_of_another_time_is_refused(seconds):
    secret = new_secret()
    at = timezone.now() + timedelta(seconds=seconds)
    with pytest.raises(InvalidSignature, match="300 seconds"):
        verify_callback(signed(secret, at=at), BODY, secret)
    assert verify_callback(signed(secret, at=at), BODY, secret, tolerance=400)


def test_a_signed_text_that_is_not_json_is_refused():
    secret = new_secret()
    with pytest.raises(InvalidSignature, match="JSON"):
        verify_callback(signed(secret, body="text"), "text", secret)


@pytest.mark.parametrize("secret", ["whsec_", "", "whsec_not base64"])
def test_what_is_no_secret_is_told(secret):
    with pytest.raises(InvalidInput):
        verify_callback(signed(new_secret()), BODY, secret)
