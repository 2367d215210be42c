"""Usage of each key per UTC calendar month, and the cap that its owner may have set.

Counts change only by guarded single statements, which the ledger calls inside its transactions.
"""

from datetime import date

from django.db import connection
from django.utils import timezone

from accounts import standing
from accounts.models import ApiKey, ApiKeyMonth
from lib.sql import execute

# More than the columns can hold.
NO_CAP = 2**40

# The key or account may have ended during the upload. Checked here, where it costs no extra query: see accounts.standing.
_TAKE = (
    "UPDATE accounts_apikeymonth SET held = held + %s WHERE key_id = %s AND month = %s AND held + used + %s <= %s"
    " AND EXISTS (SELECT 1 FROM accounts_apikey AS own JOIN accounts_user AS owner ON owner.id = own.user_id"
    " WHERE own.id = accounts_apikeymonth.key_id AND owner.is_active AND own.revoked_at IS NULL"
    " AND (own.expires_at IS NULL OR own.expires_at > %s))"
)
_POST = "UPDATE accounts_apikeymonth SET held = held - 1, used = used + 1 WHERE key_id = %s AND month = %s"
_GIVE_BACK = "UPDATE accounts_apikeymonth SET held = held - %s WHERE key_id = %s AND month = %s"


def take(key: ApiKey, month: date, count: int = 1) -> bool:
    """Count `count` requests of `key` as held in the month that starts on `month`. False when its cap leaves less room.

    Raises AccessEnded if the key or its owner has become invalid since the request was authenticated.
    """
    cap = NO_CAP if key.monthly_credit_cap is None else key.monthly_credit_cap
    now = connection.ops.adapt_datetimefield_value(timezone.now())
    taking = (_TAKE, count, key.pk, month.isoformat(), count, cap, now)
    if execute(*taking):
        return True
    standing.check(key.user_id, key)
    # The cap is reached, or this is the key's first request of the month. In a race, one request creates the row.
    ApiKeyMonth.objects.get_or_create(key_id=key.pk, month=month)
    if execute(*taking):
        return True
    # The cap is reached, or the key has become invalid meanwhile.
    standing.check(key.user_id, key)
    return False


def post(key_id: int, month: date) -> None:
    """Count a held request as used: it was delivered."""
    execute(_POST, key_id, month.isoformat())


def give_back(key_id: int, month: date, count: int = 1) -> None:
    """Release `count` held requests that were not delivered."""
    execute(_GIVE_BACK, count, key_id, month.isoformat())
