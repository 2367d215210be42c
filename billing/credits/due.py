"""Credits that refunds and lost disputes could not take because they were on hold. They are taken when the holds are voided.

Only a credit that was on hold at the time of the refund pays for it. A posted one is spent, and credits bought later belong
to the customer. The ledger shows which holds are older: every prepaid movement of an account is written under the lock of
the account's row, so the ids of its entries follow the order of the movements.
"""

import uuid
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from django.db.models import Count, F, OuterRef, Subquery
from django.db.models.functions import Coalesce

from billing.models import Account, Bucket, CreditsDue, Hold, LedgerEntry, PackPurchase


class Payment(NamedTuple):
    """Credits to take for one refund, with the reference and note of the movement."""

    credits: int
    reference: str
    note: str


def remember(account: Account, credits: int, *, reference: str, purchase: PackPurchase | None) -> None:
    """Record that the refund with this reference is `credits` short, if prepaid credits on hold could still pay for it.

    Called in the refund's transaction, which has locked the account's row.
    """
    open_holds = Hold.objects.filter(account=account, bucket=Bucket.PREPAID, state=Hold.State.HELD)
    if credits and open_holds.exists():
        entry = LedgerEntry.objects.get(reference=reference)
        CreditsDue.objects.create(account=account, entry=entry, purchase=purchase, credits=credits)


def collect(account_id: int, voided: Sequence[uuid.UUID]) -> list[Payment]:
    """Let these prepaid holds, which were just voided, pay for refunds. Returns what to take from the balance.

    Called in the transaction that voids them, which has locked the account's row. A hold pays for the earliest refund it
    can: fewer holds are old enough for that one than for a later one.
    """
    short = list(CreditsDue.objects.filter(account_id=account_id, taken__lt=F("credits")).order_by("entry_id"))
    if not short:
        return []
    entries = LedgerEntry.objects.filter(reference__in=[f"hold:{hold_id}" for hold_id in voided])
    paid: dict[int, list[uuid.UUID]] = {}
    for hold_id, entry_id in entries.order_by("pk").values_list("hold_id", "pk"):
        left = (one for one in short if one.entry_id > entry_id and one.taken + len(paid.get(one.pk, ())) < one.credits)
        if (one := next(left, None)) and hold_id:
            paid.setdefault(one.pk, []).append(hold_id)
    return [_pay(one, paid[one.pk]) for one in short if one.pk in paid]


def outstanding(account: Account) -> Counter[str]:
    """How many credits the open holds may still pay, by the Checkout session of the refunded pack."""
    of_the_time = LedgerEntry.objects.filter(
        account=OuterRef("account"), kind=LedgerEntry.Kind.HOLD, bucket=Bucket.PREPAID, pk__lt=OuterRef("entry_id"),
        hold__state=Hold.State.HELD,
    ).order_by()  # fmt: skip
    could_pay = of_the_time.values("account").annotate(count=Count("pk")).values("count")
    short = CreditsDue.objects.filter(account=account, taken__lt=F("credits")).order_by("entry_id")
    rows = short.annotate(could_pay=Coalesce(Subquery(could_pay), 0))
    found: Counter[str] = Counter()
    for checkout, credits, taken, open_holds in rows.values_list("purchase__checkout_id", "credits", "taken", "could_pay"):
        if unpaid := min(credits - taken, open_holds - found.total()):
            found[checkout or ""] += unpaid
    return found


def _pay(one: CreditsDue, holds: list[uuid.UUID]) -> Payment:
    count = len(holds)
    CreditsDue.objects.filter(pk=one.pk).update(taken=F("taken") + count)
    if one.purchase:
        PackPurchase.objects.filter(pk=one.purchase.pk).update(taken_back=F("taken_back") + count)
    # A hold is voided once, so no other movement has this reference.
    return Payment(count, f"due:{one.pk}:{holds[0]}", one.purchase.checkout_id if one.purchase else "")
