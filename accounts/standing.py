"""Whether a caller's account and key still stand, asked where it counts: in the transaction that acts for them.

A request is authenticated before its body is read, and an upload may take minutes. What deletes or locks an account, or
revokes a key, takes the user's row lock, and so does whoever makes something lasting for the account: of the two, the later
one sees what the earlier one did. The user's row is locked before any other of the account.
"""

from accounts.models import ApiKey, User
from lib.web.errors import ApiError


def lock(user_id: int, key: ApiKey | None) -> None:
    """Until the transaction ends, nothing deletes or locks this account or revokes this key.

    (On SQLite it locks nothing and need not: a transaction there has the whole database to itself.)
    Raises ApiError 401 `invalid_api_key` where that has happened already, or where the key has expired.
    """
    # Without the key of the row, so that rows which only refer to the user can still be made.
    locked = User.objects.select_for_update(no_key=True).filter(pk=user_id, is_active=True).only("pk").first()
    if locked is None or not _is_live(key):
        raise ApiError("invalid_api_key")


def check(user_id: int, key: ApiKey | None) -> None:
    """Raise ApiError 401 `invalid_api_key` unless the account is active and the key live at this moment."""
    if not User.objects.filter(pk=user_id, is_active=True).exists() or not _is_live(key):
        raise ApiError("invalid_api_key")


def _is_live(key: ApiKey | None) -> bool:
    return key is None or ApiKey.objects.live().filter(pk=key.pk).exists()
