"""What was spent in a window by day, channel, key and bucket: exact, from the holds.

A finished and settled day is counted once and stored. Only later days are counted live, so a page costs the same whether
the window has a thousand holds or a million.
"""

import logging
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from django.db import DatabaseError, transaction
from django.db.models import CharField, F, Sum
from django.db.models.functions import Cast, Substr
from django.utils import timezone

from billing.credits.ledger import STALE_HOLD
from billing.models import Bucket, CountedDays, DailyUsage, Hold, UsageWindow

logger = logging.getLogger(__name__)

# The date as text, in UTC, which is every connection's time zone. For a TruncDate, SQLite would call Python on each row.
_DAY = Substr(Cast("created_at", CharField()), 1, 10)


@dataclass(frozen=True, slots=True)
class Spent:
    """What was spent on one day, by one channel, key (None for the web app) and bucket, in hundredths of a credit."""

    day: date
    channel: str
    key_id: int | None
    bucket: str
    amount: int


def read(window: UsageWindow) -> list[Spent]:
    """Everything spent in a window, in order of days. An unsaved window has nothing."""
    if window._state.adding:
        return []
    until = _counted_until(window)
    live, first_open = _count_live(window, until)
    if over := _closable(live, first_open):
        _store(window, until, over)
    return sorted(_stored(window, until) + live, key=lambda spent: (spent.day, spent.channel, spent.key_id or 0))


def _counted_until(window: UsageWindow) -> date | None:
    counted: CountedDays | None = getattr(window, "counted", None)
    return counted.until if counted else None


def _stored(window: UsageWindow, until: date | None) -> list[Spent]:
    """The stored days before `until`. Later ones, which another reader may have stored since, are left out."""
    if until is None:
        return []
    rows = DailyUsage.objects.filter(window=window, day__lt=until)
    return [Spent(row.day, row.channel, row.key_id, row.bucket, row.spent) for row in rows]


def _count_live(window: UsageWindow, until: date | None) -> tuple[list[Spent], date | None]:
    """What was spent on `until` and later, and the first of these days that still has an open hold."""
    holds = Hold.objects.filter(window=window).exclude(state=Hold.State.VOIDED)
    if until is not None:
        holds = holds.filter(created_at__gte=datetime.combine(until, time(), UTC))
    days = holds.annotate(day=_DAY).values_list("day", "channel", "key_id", "bucket", "state")
    amounts = {"amount": Sum(F("price") - F("topped_up")), "topped_up_by": Sum("topped_up")}
    spent: Counter[tuple[date, str, int | None, str]] = Counter()
    first_open = None
    for text, channel, key_id, bucket, state, amount, topped_up in days.annotate(**amounts).order_by("day"):
        day = date.fromisoformat(text)
        if state == Hold.State.POSTED:
            spent[day, channel, key_id, bucket] += amount
            spent[day, channel, key_id, Bucket.PREPAID.value] += topped_up
        else:
            first_open = first_open or day
    return [Spent(*of, amount) for of, amount in spent.items() if amount], first_open


def _closable(live: Iterable[Spent], first_open: date | None) -> list[Spent]:
    """The days that can no longer change.

    A hold may become visible slightly after its timestamp: a day is closed only when its last hold would be stale by now.
    """
    end = (timezone.now() - STALE_HOLD).astimezone(UTC).date()
    end = min(end, first_open or end)
    return [spent for spent in live if spent.day < end]


def _store(window: UsageWindow, until: date | None, over: list[Spent]) -> None:
    """Store closed days. If several readers try, one succeeds. The page is shown even if this fails."""
    reached = max(spent.day for spent in over) + timedelta(days=1)
    try:
        with transaction.atomic():
            if until is None:
                CountedDays.objects.bulk_create([CountedDays(window=window, until=reached)])
            elif not CountedDays.objects.filter(window=window, until=until).update(until=reached):
                return
            DailyUsage.objects.bulk_create(_row(window, one) for one in over)
    except DatabaseError as error:
        logger.info("closed days not stored", extra={"window": window.pk, "reason": str(error)})


def _row(window: UsageWindow, one: Spent) -> DailyUsage:
    of = {"day": one.day, "channel": one.channel, "key_id": one.key_id, "bucket": one.bucket}
    return DailyUsage(window=window, **of, **DailyUsage.spent.columns(one.amount))
