"""How often each key was used in a UTC calendar month, and the cap that its owner may have set.

Counts change only by guarded single statements, called by the ledger inside its own transactions.
"""

from datetime import date

from django.db.models import F

from accounts.models import ApiKey, ApiKeyMonth


def take(key: ApiKey, month: date) -> bool:
    """Count one request of `key` as held in the month that starts on `month`. False when its cap is reached."""
    row = ApiKeyMonth.objects.filter(key_id=key.pk, month=month)
    free = row if key.monthly_credit_cap is None else row.filter(held__lt=key.monthly_credit_cap - F("used"))
    if free.update(held=F("held") + 1):
        return True
    # The cap is reached, or this is the key's first request of the month. Then of several one makes the row.
    ApiKeyMonth.objects.get_or_create(key_id=key.pk, month=month)
    return bool(free.update(held=F("held") + 1))


def post(key_id: int, month: date) -> None:
    """The held request was delivered."""
    ApiKeyMonth.objects.filter(key_id=key_id, month=month).update(held=F("held") - 1, used=F("used") + 1)


def give_back(key_id: int, month: date) -> None:
    """The held request came to nothing."""
    ApiKeyMonth.objects.filter(key_id=key_id, month=month).update(held=F("held") - 1)
