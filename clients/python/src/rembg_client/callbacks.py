"""Callbacks of batches: whether one is the server's (the Standard Webhooks scheme, standardwebhooks.com)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from typing import Any

from rembg_client.errors import InvalidInput, InvalidSignature

# Seconds that a callback's time may be from now: an older one may have been recorded and sent again.
TOLERANCE_SECONDS = 300
SECRET_PREFIX = "whsec_"  # noqa: S105 - how every secret begins


def verify_callback(
    headers: Mapping[str, str], body: bytes | str, secret: str, *, tolerance: float = TOLERANCE_SECONDS
) -> dict[str, Any]:
    """The callback's JSON, if it was signed with `secret` within the last `tolerance` seconds.

    `body` is the body as it came, before anything parsed it. `headers` may have any letter case. While a secret is being
    rotated a callback carries two signatures; one that matches is enough. Skip a `webhook-id` that you have seen.

    Raises InvalidSignature; InvalidInput for a text that is no secret.
    """
    own = {name.lower(): value for name, value in headers.items()}
    message_id, sent, signatures = (own.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature"))
    if not (message_id and sent and signatures):
        raise InvalidSignature("A callback has the headers webhook-id, webhook-timestamp and webhook-signature")
    if not (sent.isascii() and sent.isdigit()) or abs(time.time() - int(sent)) > tolerance:
        raise InvalidSignature(f"The callback was not sent within the last {tolerance:g} seconds")
    payload = body.encode() if isinstance(body, str) else bytes(body)
    expected = hmac.new(_key(secret), f"{message_id}.{sent}.".encode() + payload, hashlib.sha256).digest()
    if not any(_matches(signature, expected) for signature in signatures.split()):
        raise InvalidSignature("No signature of the callback is right")
    try:
        parsed: dict[str, Any] = json.loads(payload)
    except ValueError as error:
        raise InvalidSignature("The callback is not JSON") from error
    return parsed


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.strip().removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error as error:
        raise InvalidInput("The secret is not base64") from error
    if not key:
        raise InvalidInput("The secret is empty")
    return key


def _matches(signature: str, expected: bytes) -> bool:
    version, _, text = signature.partition(",")
    # Compared as text: base64 has several spellings of the same bytes, and the server sends one.
    return version == "v1" and hmac.compare_digest(text.encode(), base64.b64encode(expected))
