"""The errors that views answer when accounts refuse something."""

from accounts.authentication import EmailNotVerified
from accounts.caller import NotLoggedIn
from accounts.deletion import DeletionRefused
from accounts.failed_calls import TooManyFailedCalls
from accounts.models import KeyNotLive, TooManyKeys
from accounts.standing import AccessEnded
from lib.web.errors import ApiError, register_translation


def register() -> None:
    """Called once, when the app is ready."""
    register_translation(AccessEnded, lambda _: ApiError("invalid_api_key"))
    register_translation(NotLoggedIn, lambda _: ApiError("not_logged_in"))
    register_translation(EmailNotVerified, lambda _: ApiError("email_not_verified"))
    register_translation(TooManyFailedCalls, lambda refused: ApiError("rate_limited", retry_after=refused.seconds_left))
    register_translation(TooManyKeys, lambda refused: ApiError("too_many_keys", limit=refused.limit))
    register_translation(KeyNotLive, lambda _: ApiError("key_not_live"))
    register_translation(DeletionRefused, lambda refused: ApiError("deletion_refused", message=refused.objection))
