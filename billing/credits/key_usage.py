"""Credits of each key per UTC calendar month, and the cap that its owner may have set. Amounts are in hundredths.

They change only by guarded single statements, which the ledger calls inside its transactions.
"""

from datetime import date

from django.db import connection
from django.utils import timezone

from accounts import standing
from accounts.models import ApiKey, ApiKeyMonth
from lib.amounts import UNIT, plus_parameters
from lib.sql import execute

# More than the columns can hold.
NO_CAP = 2**50

# The key or account may have ended during the upload. Checked here, where it costs no extra query: see accounts.standing.
_TAKE = (
    f"UPDATE accounts_apikeymonth SET {ApiKeyMonth.on_hold.plus_sql} WHERE key_id = %s AND month = %s"
    f" AND {UNIT} * CAST(held + used AS bigint) + held_part + used_part + %s <= %s"
    " AND EXISTS (SELECT 1 FROM accounts_apikey AS own JOIN accounts_user AS owner ON owner.id = own.user_id"
    " WHERE own.id = accounts_apikeymonth.key_id AND owner.is_active AND own.revoked_at IS NULL"
    " AND (own.expires_at IS NULL OR own.expires_at > %s))"
)
_POST = (
    f"UPDATE accounts_apikeymonth SET {ApiKeyMonth.on_hold.plus_sql}, {ApiKeyMonth.spent.plus_sql}"
    " WHERE key_id = %s AND month = %s"
)
_GIVE_BACK = f"UPDATE accounts_apikeymonth SET {ApiKeyMonth.on_hold.plus_sql} WHERE key_id = %s AND month = %s"


def take(key: ApiKey, month: date, amount: int) -> bool:
    """Count an amount as held by `key` in the month that starts on `month`. False when its cap leaves less.

    Raises AccessEnded if the key or its owner has become invalid since the request was authenticated.
    """
    cap = NO_CAP if key.monthly_credit_cap is None else UNIT * key.monthly_credit_cap
    now = connection.ops.adapt_datetimefield_value(timezone.now())
    taking = (_TAKE, *plus_parameters(amount), key.pk, month.isoformat(), amount, cap, now)
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


def post(key_id: int, month: date, amount: int) -> None:
    """Count a held amount as spent: the image was delivered."""
    execute(_POST, *plus_parameters(-amount), *plus_parameters(amount), key_id, month.isoformat())


def give_back(key_id: int, month: date, amount: int) -> None:
    """Release a held amount: the image was not delivered."""
    execute(_GIVE_BACK, *plus_parameters(-amount), key_id, month.isoformat())
