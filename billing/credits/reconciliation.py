"""Checks every balance and counter of an account against its ledger, and corrects differences."""

from collections.abc import Iterator
from dataclasses import dataclass

from django.db import models, transaction
from django.db.models import Count, Q, Sum

from accounts.models import ApiKeyMonth
from billing.credits import after_post as usage
from billing.models import Account, Bucket, CreditsDue, Hold, LedgerEntry, MonthlyUsage, PackPurchase, UsageWindow


@dataclass(frozen=True, slots=True)
class Difference:
    """A figure that differs from the ledger."""

    row: models.Model
    field: str
    found: int
    proven: int

    def __str__(self) -> str:
        return f"{self.row._meta.verbose_name} '{self.row}': {self.field} is {self.found}, the ledger says {self.proven}"


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
    prepaid = LedgerEntry.objects.filter(account=account, bucket=Bucket.PREPAID)
    yield from _compare(account, prepaid_balance=prepaid.aggregate(total=Sum("available", default=0))["total"])


def _check_taken_back(account: Account) -> Iterator[Difference]:
    """Check what refunds have taken, immediately and later. The note of their movements is the Checkout session's id."""
    refunds = LedgerEntry.objects.filter(account=account, kind=LedgerEntry.Kind.REFUND)
    by_checkout = dict(refunds.order_by().values_list("note").annotate(Sum("available")))
    for purchase in PackPurchase.objects.filter(account=account):
        yield from _compare(purchase, taken_back=-by_checkout.get(purchase.checkout_id, 0))
    for one in CreditsDue.objects.filter(account=account).select_related("entry"):
        later = refunds.filter(reference__startswith=f"due:{one.pk}:")
        yield from _compare(one, taken=-later.aggregate(total=Sum("available", default=0))["total"])


def _check_window(window: UsageWindow) -> Iterator[Difference]:
    entries = LedgerEntry.objects.filter(window=window, bucket=Bucket.INCLUDED)
    posted = Q(kind=LedgerEntry.Kind.POST)
    given = Q(kind__in=(LedgerEntry.Kind.RENEW, LedgerEntry.Kind.GRANT))
    proven = entries.aggregate(
        allowance=Sum("available", filter=given, default=0),
        held=Sum("held", default=0),
        app_used=Count("pk", filter=posted & Q(hold__channel="app")),
        api_used=Count("pk", filter=posted & Q(hold__channel="api")),
    )
    yield from _compare(window, **proven)


def _check_months(account: Account) -> Iterator[Difference]:
    posted = Hold.objects.filter(account=account, state=Hold.State.POSTED, bucket=Bucket.INCLUDED)
    proven = {
        row["month"]: row
        for row in posted.values("month").annotate(
            app_used=Count("pk", filter=Q(channel="app")), api_used=Count("pk", filter=Q(channel="api"))
        )
    }
    counted = {usage.month: usage for usage in MonthlyUsage.objects.filter(account=account)}
    for month in sorted(proven.keys() | counted.keys()):
        row = proven.get(month, {"app_used": 0, "api_used": 0})
        counter = counted.get(month) or MonthlyUsage(account=account, month=month)
        yield from _compare(counter, app_used=row["app_used"], api_used=row["api_used"])


def _check_key_month(counter: ApiKeyMonth) -> Iterator[Difference]:
    holds = Hold.objects.filter(key_id=counter.key_id, month=counter.month)
    proven = holds.aggregate(
        held=Count("pk", filter=Q(state=Hold.State.HELD)), used=Count("pk", filter=Q(state=Hold.State.POSTED))
    )
    yield from _compare(counter, **proven)


def _compare(row: models.Model, **proven: int) -> Iterator[Difference]:
    for field, value in proven.items():
        found = getattr(row, field)
        if found != value:
            yield Difference(row, field, found, value)


def _write(difference: Difference) -> None:
    setattr(difference.row, difference.field, difference.proven)
    if difference.row.pk is None:
        difference.row.save()
    else:
        difference.row.save(update_fields=[difference.field])
