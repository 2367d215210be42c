"""Short-lived tokens with which the web app calls the API on behalf of a logged-in user.

A token is encrypted, not stored. It carries the user's public id, the session hash that Django derives from the password,
and the key of the session that it was made for. So a password change or the session's end invalidates it; one query on every
use checks that the user is still active and the session still exists. A script that holds the token does not learn the
session's key, which the browser keeps from scripts.
"""

import base64
import json

from cryptography.fernet import Fernet, InvalidToken
from django.contrib.sessions.models import Session
from django.db.models import Exists
from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac

from accounts.models import User

LIFETIME_SECONDS = 15 * 60
_SALT = "accounts.user_token"


def mint(user: User, session_key: str) -> str:
    """Make a token for `user`, valid for at most LIFETIME_SECONDS, and no longer than the session."""
    return _box().encrypt(json.dumps([user.public_id, _stamp(user), session_key]).encode()).decode()


def find_user(token: str) -> User | None:
    """The active user of a token; None if it is garbled or expired, or older than a log-out or password change."""
    try:
        public_id, stamp, session_key = json.loads(_box().decrypt(token.encode(), ttl=LIFETIME_SECONDS))
    except (InvalidToken, ValueError, TypeError):
        return None
    session = Session.objects.filter(session_key=session_key, expire_date__gt=timezone.now())
    user = User.objects.filter(Exists(session), public_id=public_id, is_active=True).first()
    if user is None or not constant_time_compare(stamp, _stamp(user)):
        return None
    return user


def _stamp(user: User) -> str:
    return user.get_session_auth_hash()[:32]


def _box() -> Fernet:
    # Not with SECRET_KEY_FALLBACKS: the session hash changes with SECRET_KEY, and the web app fetches another token.
    return Fernet(base64.urlsafe_b64encode(salted_hmac(_SALT, "", algorithm="sha256").digest()))
