"""Whether a caller's account and key are still valid, checked where it counts: in the transaction that acts for them.

A request is authenticated before its body is read, and an upload may take minutes. Code that deletes or locks an account, or
revokes a key, takes the user's row lock, and so does code that creates something lasting for the account: of the two, the
later one sees what the earlier one did. The user's row is locked before any other row of the account.
"""

from accounts.models import ApiKey, User


class AccessEnded(Exception):
    """The account was deleted or locked, or the key was revoked or has expired."""


def lock(user_id: int, key: ApiKey | None) -> None:
    """Keep this account from being deleted or locked, and this key from being revoked, until the transaction ends.

    (On SQLite it locks nothing and need not: a transaction there has exclusive use of the whole database.)
    Raises AccessEnded if that has already happened, or if the key has expired.
    """
    # Does not lock the row's primary key, so that rows that only refer to the user can still be inserted.
    locked = User.objects.select_for_update(no_key=True).filter(pk=user_id, is_active=True).only("pk").first()
    if locked is None or not _is_live(key):
        raise AccessEnded


def check(user_id: int, key: ApiKey | None) -> None:
    """Raise AccessEnded unless the account is active and the key live right now."""
    if not User.objects.filter(pk=user_id, is_active=True).exists() or not _is_live(key):
        raise AccessEnded


def _is_live(key: ApiKey | None) -> bool:
    return key is None or ApiKey.objects.live().filter(pk=key.pk).exists()
