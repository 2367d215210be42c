"""Credits that refunds and lost disputes could not take because they were on hold. They are taken when the holds are voided.

Only a credit that was on hold at the time of the refund pays for it. A spent one is spent, and credits bought later belong
to the customer. The ledger shows which holds are older: every prepaid movement of an account is written under the lock of
the account's row, so the ids of its entries follow the order of the movements.
"""

import uuid
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from django.db.models import F, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from billing.models import Account, Bucket, CreditsDue, Hold, LedgerEntry, PackPurchase

# Matches holds that took prepaid credits.
FROM_PREPAID = Q(bucket=Bucket.PREPAID) | Q(topped_up__gt=0)


class Payment(NamedTuple):
    """What to take for one refund, in hundredths, with the reference and note of the movement."""

    amount: int
    reference: str
    note: str


def remember(account: Account, amount: int, *, reference: str, purchase: PackPurchase | None) -> None:
    """Record that the refund with this reference is short of an amount, if prepaid credits on hold could still pay for it.

    Called in the refund's transaction, which has locked the account's row.
    """
    open_holds = Hold.objects.filter(FROM_PREPAID, account=account, state=Hold.State.HELD)
    if amount and open_holds.exists():
        entry = LedgerEntry.objects.get(reference=reference)
        CreditsDue.objects.create(account=account, entry=entry, purchase=purchase, **CreditsDue.owed.columns(amount))


def collect(account_id: int, voided: Sequence[uuid.UUID]) -> list[Payment]:
    """Let these prepaid holds, which were just voided, pay for refunds. Returns what to take from the balance.

    Called in the transaction that voids them, which has locked the account's row. A hold pays for the earliest refund it
    can: fewer holds are old enough for that one than for a later one. What one refund leaves of a hold may pay for the next.
    """
    short = list(_short(account_id))
    if not short:
        return []
    entries = LedgerEntry.objects.filter(hold__in=voided, kind=LedgerEntry.Kind.HOLD, bucket=Bucket.PREPAID).order_by("pk")
    paid: Counter[int] = Counter()
    first_of: dict[int, uuid.UUID] = {}
    for entry in entries:
        left = entry.of_held
        for one in (one for one in short if one.entry_id > entry.pk):
            share = min(left, one.owed - one.paid - paid[one.pk])
            if share and entry.hold_id:
                first_of.setdefault(one.pk, entry.hold_id)
            paid[one.pk] += share
            left -= share
    return [_pay(one, paid[one.pk], first_of[one.pk]) for one in short if paid[one.pk]]


def outstanding(account: Account) -> Counter[str]:
    """What the open holds may still pay, in hundredths, by the Checkout session of the refunded pack."""
    of_the_time = LedgerEntry.objects.filter(
        account=OuterRef("account"), kind=LedgerEntry.Kind.HOLD, bucket=Bucket.PREPAID, pk__lt=OuterRef("entry_id"),
        hold__state=Hold.State.HELD,
    ).order_by()  # fmt: skip
    could_pay = of_the_time.values("account").annotate(sum=LedgerEntry.of_held.sum()).values("sum")
    rows = _short(account.pk).select_related("purchase").annotate(could_pay=Coalesce(Subquery(could_pay), 0))
    found: Counter[str] = Counter()
    for one in rows:
        if unpaid := min(one.owed - one.paid, one.could_pay - found.total()):
            found[one.purchase.checkout_id if one.purchase else ""] += unpaid
    return found


def _short(account_id: int) -> QuerySet[CreditsDue]:
    """The account's refunds that are not paid for yet, the earliest first."""
    rows = CreditsDue.objects.alias(due=CreditsDue.owed.total, came=CreditsDue.paid.total)
    return rows.filter(account_id=account_id, came__lt=F("due")).order_by("entry_id")


def _pay(one: CreditsDue, amount: int, hold_id: uuid.UUID) -> Payment:
    CreditsDue.objects.filter(pk=one.pk).update(**CreditsDue.paid.plus(amount))
    if one.purchase:
        PackPurchase.objects.filter(pk=one.purchase.pk).update(**PackPurchase.reclaimed.plus(amount))
    # A hold is voided once, so no other movement has this reference.
    return Payment(amount, f"due:{one.pk}:{hold_id}", one.purchase.checkout_id if one.purchase else "")
