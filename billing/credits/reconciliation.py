"""Checks every balance and counter of an account against its ledger, and corrects differences."""

from collections.abc import Iterator
from dataclasses import dataclass

from django.db import models, transaction
from django.db.models import Count, F, Q, Sum

from accounts.models import ApiKeyMonth
from billing.credits import after_post as usage
from billing.credits.prices import format_credits
from billing.models import Account, Bucket, CreditsDue, Hold, LedgerEntry, MonthlyUsage, PackPurchase, UsageWindow
from lib.amounts import Amount


@dataclass(frozen=True, slots=True)
class Difference:
    """A figure that differs from the ledger. Amounts are in hundredths."""

    row: models.Model
    field: str
    found: int
    proven: int

    def __str__(self) -> str:
        amount = _find_amount(self)
        shown, field = (format_credits, amount.whole) if amount else (str, self.field)
        figures = f"{field} is {shown(self.found)}, the ledger says {shown(self.proven)}"
        return f"{self.row._meta.verbose_name} '{self.row}': {figures}"


def _find_amount(difference: Difference) -> Amount | None:
    """What stores the figure, if it is an amount of credits."""
    found: object = getattr(type(difference.row), difference.field)
    return found if isinstance(found, Amount) else None


@transaction.atomic
def reconcile(account: Account, *, fix: bool = False) -> list[Difference]:
    """Compare every figure of an account with its ledger. With `fix`, write the ledger's figures and rewrite all copies.

    The account cannot change meanwhile: its rows are locked, in the ledger's order.
    """
    counted = ApiKeyMonth.objects.filter(key__user_id=account.user_id)
    key_months = list(counted.select_for_update(no_key=True).order_by("pk"))
    windows = list(UsageWindow.objects.select_for_update(no_key=True).filter(account=account).order_by("pk"))
    locked = Account.objects.select_for_update(no_key=True).get(pk=account.pk)
    differences = [
        *_check_balance(locked),
        *_check_taken_back(locked),
        *(difference for window in windows for difference in _check_window(window)),
        *_check_months(locked),
        *(difference for month in key_months for difference in _check_key_month(month)),
    ]
    if fix:
        for difference in differences:
            _write(difference)
        transaction.on_commit(lambda: usage.write_all(account))
    return differences


def _check_balance(account: Account) -> Iterator[Difference]:
    moved = LedgerEntry.objects.filter(account=account, bucket=Bucket.PREPAID)
    yield from _compare(account, prepaid=moved.aggregate(total=LedgerEntry.of_available.sum())["total"])


def _check_taken_back(account: Account) -> Iterator[Difference]:
    """Check what refunds have taken, immediately and later. The note of their movements is the Checkout session's id."""
    refunds = LedgerEntry.objects.filter(account=account, kind=LedgerEntry.Kind.REFUND)
    taken = LedgerEntry.of_available.sum()
    by_checkout = dict(refunds.order_by().values("note").annotate(taken=taken).values_list("note", "taken"))
    for purchase in PackPurchase.objects.filter(account=account):
        yield from _compare(purchase, reclaimed=-by_checkout.get(purchase.checkout_id, 0))
    for one in CreditsDue.objects.filter(account=account).select_related("entry"):
        later = refunds.filter(reference__startswith=f"due:{one.pk}:")
        yield from _compare(one, paid=-later.aggregate(taken=taken)["taken"])


def _check_window(window: UsageWindow) -> Iterator[Difference]:
    entries = LedgerEntry.objects.filter(window=window, bucket=Bucket.INCLUDED)
    posted = Q(kind=LedgerEntry.Kind.POST)
    given = Q(kind__in=(LedgerEntry.Kind.RENEW, LedgerEntry.Kind.GRANT))
    # A post takes what it uses off the held credits.
    freed = LedgerEntry.of_held.sum
    proven = entries.aggregate(
        allowance=Sum("available", filter=given, default=0),
        on_hold=LedgerEntry.of_held.sum(),
        used_by_app=freed(filter=posted & Q(hold__channel="app")) * -1,
        used_by_api=freed(filter=posted & Q(hold__channel="api")) * -1,
    )
    yield from _compare(window, **proven)


def _check_months(account: Account) -> Iterator[Difference]:
    posted = Q(state=Hold.State.POSTED, bucket=Bucket.INCLUDED)
    used = F("price") - F("topped_up")
    nothing = {"used_by_app": 0, "used_by_api": 0, "free_previews": 0}
    counted = Hold.objects.filter(account=account).exclude(state=Hold.State.VOIDED).values("month").annotate(
        used_by_app=Sum(used, filter=posted & Q(channel="app"), default=0),
        used_by_api=Sum(used, filter=posted & Q(channel="api"), default=0),
        free_previews=Count("pk", filter=Q(is_free=True)),
    )  # fmt: skip
    proven = {
        row["month"]: {
            "used_by_app": row["used_by_app"], "used_by_api": row["used_by_api"], "free_previews": row["free_previews"],
        }
        for row in counted
    }  # fmt: skip
    found = {one.month: one for one in MonthlyUsage.objects.filter(account=account)}
    for month in sorted(proven.keys() | found.keys()):
        counter = found.get(month) or MonthlyUsage(account=account, month=month)
        yield from _compare(counter, **proven.get(month, nothing))


def _check_key_month(counter: ApiKeyMonth) -> Iterator[Difference]:
    holds = Hold.objects.filter(key_id=counter.key_id, month=counter.month)
    proven = holds.aggregate(
        on_hold=Sum("price", filter=Q(state=Hold.State.HELD), default=0),
        spent=Sum("price", filter=Q(state=Hold.State.POSTED), default=0),
    )
    yield from _compare(counter, **proven)


def _compare(row: models.Model, **proven: int) -> Iterator[Difference]:
    for field, value in proven.items():
        found = getattr(row, field)
        if found != value:
            yield Difference(row, field, found, value)


def _write(difference: Difference) -> None:
    setattr(difference.row, difference.field, difference.proven)
    amount = _find_amount(difference)
    if difference.row.pk is None:
        difference.row.save()
    else:
        difference.row.save(update_fields=[amount.whole, amount.part] if amount else [difference.field])
