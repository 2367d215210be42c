"""The bars of the billing page: included credits used on each day of a window."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, date, timedelta

from django.db.models import Count
from django.db.models.functions import TruncDate

from billing.models import Bucket, Hold, UsageWindow

# Of the drawing, in its own units. The page scales it.
WIDTH, HEIGHT = 620, 140
GAP = 4
# More days than any month has: a window that a late renewal left open does not get endless bars.
MAX_DAYS = 32


@dataclass(frozen=True, slots=True)
class Bar:
    """One day: its figures, and where its two stacked parts stand."""

    day: date
    api: int
    app: int
    x: float
    width: float
    api_y: float
    api_height: float
    app_y: float
    app_height: float


@dataclass(frozen=True, slots=True)
class Chart:
    bars: list[Bar]
    highest: int
    width: int = WIDTH
    height: int = HEIGHT

    @property
    def used(self) -> list[Bar]:
        """The days with usage: those that the table lists."""
        return [bar for bar in self.bars if bar.api or bar.app]


def draw(window: UsageWindow) -> Chart:
    """The chart of a window."""
    used = _count(window)
    first = window.start.astimezone(UTC).date()
    last = (window.end - timedelta(seconds=1)).astimezone(UTC).date()
    days = [first + timedelta(days=number) for number in range(min((last - first).days + 1, MAX_DAYS))]
    highest = max((sum(figures.values()) for figures in used.values()), default=0)
    step = WIDTH / len(days)
    bars = [_bar(day, used[day], index * step, step - GAP, highest) for index, day in enumerate(days)]
    return Chart(bars, highest)


def _count(window: UsageWindow) -> dict[date, dict[str, int]]:
    """Posted pictures by day and channel. A window that nobody used has no row yet."""
    used: dict[date, dict[str, int]] = defaultdict(lambda: {"api": 0, "app": 0})
    if window.pk is not None:
        posted = Hold.objects.filter(
            account_id=window.account_id, window=window, bucket=Bucket.INCLUDED, state=Hold.State.POSTED
        )
        by_day = posted.annotate(day=TruncDate("created_at", tzinfo=UTC))
        for row in by_day.values("day", "channel").annotate(count=Count("pk")).order_by("day"):
            used[row["day"]][row["channel"]] = row["count"]
    return used


def _bar(day: date, figures: dict[str, int], x: float, width: float, highest: int) -> Bar:
    unit = HEIGHT / highest if highest else 0
    api, app = round(figures["api"] * unit, 2), round(figures["app"] * unit, 2)
    return Bar(
        day,
        figures["api"],
        figures["app"],
        round(x + GAP / 2, 2),
        round(width, 2),
        HEIGHT - api,
        api,
        HEIGHT - api - app,
        app,
    )
