"""Finds the usage window that limits an account now, and opens new ones."""

from datetime import UTC, date, datetime

from django.db import IntegrityError, transaction

from billing.models import Account, Bucket, LedgerEntry, UsageWindow


def month_of(moment: datetime) -> date:
    """The first day of the UTC calendar month that holds `moment`."""
    return moment.astimezone(UTC).date().replace(day=1)


def month_bounds(month: date) -> tuple[datetime, datetime]:
    """Start (included) and end (excluded) of a UTC calendar month. Raises OverflowError for December 9999."""
    after = date(month.year + month.month // 12, month.month % 12 + 1, 1)
    return datetime(month.year, month.month, 1, tzinfo=UTC), datetime(after.year, after.month, after.day, tzinfo=UTC)


def get_window(account: Account, now: datetime) -> UsageWindow:
    """The window that limits the account now. A calendar month's is created on first use, with the plan's allowance."""
    if account.cycle is not None:
        return account.cycle
    start, end = calendar_bounds(account, now)
    found = UsageWindow.objects.filter(account=account, kind=UsageWindow.Kind.MONTH, start=start).first()
    return found or open_window(account, UsageWindow.Kind.MONTH, start, end, account.plan.included_credits)


def calendar_bounds(account: Account, now: datetime) -> tuple[datetime, datetime]:
    """Bounds of the calendar window: the month, or the rest of it after a subscription that ended within it."""
    start, end = month_bounds(month_of(now))
    return max(start, account.calendar_from or start), end


def open_window(account: Account, kind: UsageWindow.Kind, start: datetime, end: datetime, allowance: int) -> UsageWindow:
    """Create a window and its ledger row. If several requests find it missing, one creates it and the others read it."""
    try:
        with transaction.atomic():
            window = UsageWindow.objects.create(account=account, kind=kind, start=start, end=end, allowance=allowance)
            LedgerEntry.objects.create(
                account=account,
                kind=LedgerEntry.Kind.RENEW,
                bucket=Bucket.INCLUDED,
                available=allowance,
                reference=f"window:{window.pk}",
                window=window,
            )
    except IntegrityError:
        return UsageWindow.objects.get(account=account, kind=kind, start=start)
    return window
