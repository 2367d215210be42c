"""Signing of callbacks, as standardwebhooks.com defines it: one secret per account."""

import base64
import secrets
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone
from standardwebhooks import Webhook

from accounts.deletion import IS_DELETED
from accounts.models import User
from billing.models import Account
from imaging.models import CallbackSecret

SECRET_BYTES = 32
# How long a rotated secret still signs along with the new one: time to install the new one in the receiver.
OVERLAP = timedelta(hours=24)


def new_secret() -> str:
    """`whsec_` and base64 of 32 random bytes; the standard requires 24 to 64."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def get_secret(account: Account) -> CallbackSecret:
    """The account's secret, created on first use. Raises User.DoesNotExist for a deleted account, which gets none."""
    return CallbackSecret.objects.filter(account=account).first() or _make(account)


@transaction.atomic
def _make(account: Account) -> CallbackSecret:
    # A callback may be in progress while the account is deleted: see accounts.standing.
    User.objects.select_for_update(no_key=True).exclude(IS_DELETED).only("pk").get(pk=account.user_id)
    return CallbackSecret.objects.get_or_create(account=account, defaults={"secret": new_secret()})[0]


@transaction.atomic
def rotate(account: Account) -> CallbackSecret:
    """Give the account a new secret. The previous one also signs for OVERLAP; any older one is dropped now."""
    get_secret(account)
    secret = CallbackSecret.objects.select_for_update(no_key=True).get(account=account)
    secret.previous, secret.secret = secret.secret, new_secret()
    secret.created_at = timezone.now()
    secret.previous_until = secret.created_at + OVERLAP
    secret.save(update_fields=["secret", "previous", "previous_until", "created_at"])
    return secret


def sign(secret: CallbackSecret, message_id: str, now: datetime, body: str) -> dict[str, str]:
    """The standard's three headers. During a rotation there are two signatures; a receiver accepts either."""
    keys = [secret.secret]
    if secret.previous_until and secret.previous_until > now:
        keys.append(secret.previous)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(Webhook(key).sign(message_id, now, body) for key in keys),
    }
