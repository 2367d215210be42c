"""How often each key was used in a UTC calendar month, and the cap that its owner may have set.

Counts change only by guarded single statements, called by the ledger inside its own transactions.
"""

from datetime import date

from accounts.models import ApiKey, ApiKeyMonth
from config.sql import execute

# Above what the columns can hold.
NO_CAP = 2**40

_TAKE = "UPDATE accounts_apikeymonth SET held = held + %s WHERE key_id = %s AND month = %s AND held + used + %s <= %s"
_POST = "UPDATE accounts_apikeymonth SET held = held - 1, used = used + 1 WHERE key_id = %s AND month = %s"
_GIVE_BACK = "UPDATE accounts_apikeymonth SET held = held - %s WHERE key_id = %s AND month = %s"


def take(key: ApiKey, month: date, count: int = 1) -> bool:
    """Count `count` requests of `key` as held in the month that starts on `month`. False when its cap leaves fewer."""
    cap = NO_CAP if key.monthly_credit_cap is None else key.monthly_credit_cap
    taking = (_TAKE, count, key.pk, month.isoformat(), count, cap)
    if execute(*taking):
        return True
    # The cap is reached, or this is the key's first request of the month. Then of several one makes the row.
    ApiKeyMonth.objects.get_or_create(key_id=key.pk, month=month)
    return bool(execute(*taking))


def post(key_id: int, month: date) -> None:
    """The held request was delivered."""
    execute(_POST, key_id, month.isoformat())


def give_back(key_id: int, month: date, count: int = 1) -> None:
    """`count` held requests came to nothing."""
    execute(_GIVE_BACK, count, key_id, month.isoformat())
