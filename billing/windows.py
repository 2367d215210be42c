"""Which usage windows count for an account now."""

from datetime import UTC, datetime

from django.db import IntegrityError, transaction

from billing.models import Account, Bucket, LedgerEntry, UsageWindow


def month_bounds(moment: datetime) -> tuple[datetime, datetime]:
    """Start (included) and end (excluded) of the UTC calendar month that holds `moment`."""
    start = moment.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    end = start.replace(year=start.year + 1, month=1) if start.month == 12 else start.replace(month=start.month + 1)
    return start, end


def get_month(account: Account, now: datetime) -> UsageWindow:
    """The window of the calendar month, made on first use with the plan's allowance."""
    start, end = month_bounds(now)
    window = UsageWindow.objects.filter(account=account, kind=UsageWindow.Kind.MONTH, start=start).first()
    return window or _open(account, UsageWindow.Kind.MONTH, start, end)


def limiting_window(account: Account, month: UsageWindow, now: datetime) -> UsageWindow:
    """The window whose allowance limits: Stripe's current cycle where there is one, else the calendar month."""
    if account.cycle is not None and account.cycle.start <= now < account.cycle.end:
        return account.cycle
    return month


def _open(account: Account, kind: UsageWindow.Kind, start: datetime, end: datetime) -> UsageWindow:
    """Make a window and its ledger row. Of several requests that find it missing, one makes it and the rest read it."""
    allowance = account.plan.included_credits
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
