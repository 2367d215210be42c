"""Billing periods, anchored as Stripe anchors them: 31 January, 28 February, 31 March."""

import calendar
from datetime import UTC, datetime, timedelta

HOUR = 3600
DAY = 24 * HOUR


def boundary(anchor: int, interval: str, count: int, number: int) -> int:
    """When period `number` starts, counted from the anchor, so that a short month does not shift later ones."""
    start = datetime.fromtimestamp(anchor, UTC)
    if interval in ("day", "week"):
        days = (7 if interval == "week" else 1) * count * number
        return int((start + timedelta(days=days)).timestamp())
    months = (12 if interval == "year" else 1) * count * number
    year, month = divmod(start.year * 12 + start.month - 1 + months, 12)
    day = min(start.day, calendar.monthrange(year, month + 1)[1])
    return int(start.replace(year=year, month=month + 1, day=day).timestamp())


def period_after(anchor: int, interval: str, count: int, moment: int) -> tuple[int, int]:
    """The period that contains `moment`, as (start, end)."""
    number = 0
    while boundary(anchor, interval, count, number + 1) <= moment:
        number += 1
    return boundary(anchor, interval, count, number), boundary(anchor, interval, count, number + 1)
