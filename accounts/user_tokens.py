"""Short-lived tokens with which the web app calls the API in the name of a logged-in user.

A token is signed, not stored. It carries the user's public id and the session hash that Django derives from the password,
so it dies with the password; whether the user is still active is read from the database on every use.
"""

from django.core import signing
from django.utils.crypto import constant_time_compare

from accounts.models import User

LIFETIME_SECONDS = 15 * 60
_SALT = "accounts.user_token"


def mint(user: User) -> str:
    """Make a token for `user`, valid for LIFETIME_SECONDS."""
    return signing.dumps([user.public_id, _stamp(user)], salt=_SALT)


def find_user(token: str) -> User | None:
    """The active user a token speaks for; None if it is garbled, expired, or older than the user's last password change."""
    try:
        public_id, stamp = signing.loads(token, salt=_SALT, max_age=LIFETIME_SECONDS)
    except (signing.BadSignature, ValueError, TypeError):
        return None
    user = User.objects.filter(public_id=public_id, is_active=True).first()
    if user is None or not constant_time_compare(stamp, _stamp(user)):
        return None
    return user


def _stamp(user: User) -> str:
    return user.get_session_auth_hash()[:32]
