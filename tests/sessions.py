"""User tokens for tests: obtained as the web app does, for a session of the user."""

from importlib import import_module

from django.conf import settings

from accounts import user_tokens
from accounts.models import User


def token_of(user: User) -> str:
    """A token for a new session of the user."""
    session = import_module(settings.SESSION_ENGINE).SessionStore()
    session["_auth_user_id"] = str(user.pk)
    session.create()
    return user_tokens.mint(user, session.session_key)
