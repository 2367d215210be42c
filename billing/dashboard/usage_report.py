"""Usage as the dashboard shows it: the list of windows, and the sums, keys and shares of one."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from accounts.models import ApiKey
from billing.dashboard import daily_usage
from billing.dashboard.daily_usage import Spent
from billing.membership import usage as membership
from billing.models import Account, Bucket, UsageWindow


class NoSuchCycle(Exception):
    """No listed window of the account starts at the time asked for."""


@dataclass(frozen=True, slots=True)
class Cycle:
    """A window as listed: it ends where the next one begins."""

    window: UsageWindow
    end: datetime
    is_current: bool

    @property
    def unix(self) -> int:
        return int(self.window.start.timestamp())


@dataclass(frozen=True, slots=True)
class KeyUsage:
    """What one key, or the web app (`key` is None), spent in hundredths. `share` is in whole percent of everything spent."""

    key: ApiKey | None
    included: int
    prepaid: int
    share: int

    @property
    def total(self) -> int:
        return self.included + self.prepaid


@dataclass(frozen=True, slots=True)
class Report:
    """All figures come from the same rows, so they always add up. Amounts are in hundredths of a credit."""

    cycle: Cycle
    spent: Sequence[Spent]

    def count(self, bucket: str | None = None, channel: str | None = None) -> int:
        """What was spent, of one bucket or channel if given."""
        return sum(one.amount for one in self.spent if bucket in (None, one.bucket) and channel in (None, one.channel))

    @property
    def api(self) -> int:
        return self.count(Bucket.INCLUDED, "api")

    @property
    def app(self) -> int:
        return self.count(Bucket.INCLUDED, "app")

    @property
    def included(self) -> int:
        return self.count(Bucket.INCLUDED)

    @property
    def prepaid(self) -> int:
        return self.count(Bucket.PREPAID)

    @property
    def total(self) -> int:
        return self.count()

    @property
    def remaining(self) -> int:
        """Included credits that are left."""
        return max(0, self.cycle.window.included - self.included)

    @property
    def days_left(self) -> int:
        """Whole days until the window ends, rounded up."""
        return max(0, math.ceil((self.cycle.window.end - timezone.now()) / timedelta(days=1)))

    def by_key(self, keys: dict[int, ApiKey]) -> list[KeyUsage]:
        """The keys and the web app, the largest first."""
        sums: Counter[tuple[int | None, str]] = Counter()
        for one in self.spent:
            sums[one.key_id, one.bucket] += one.amount
        total = self.total
        rows = []
        for key_id in {key_id for key_id, _bucket in sums}:
            included, prepaid = sums[key_id, Bucket.INCLUDED], sums[key_id, Bucket.PREPAID]
            key = keys.get(key_id) if key_id is not None else None
            rows.append(KeyUsage(key, included, prepaid, round(100 * (included + prepaid) / total)))
        return sorted(rows, key=lambda row: (-row.total, row.key.pk if row.key else 0))


def list_cycles(account: Account) -> list[Cycle]:
    """The current window, and those with usage, newest first."""
    current = membership.current_window(account)
    found = membership.listed_windows(account, UsageWindow.objects.select_related("counted"))
    if all(window.pk != current.pk for window, _end in found):
        found.insert(0, (current, current.end))
    return [Cycle(window, end, window.pk == current.pk) for window, end in found]


def get_cycle(cycles: Sequence[Cycle], asked: str | None) -> Cycle:
    """The cycle that starts at the `asked` Unix second; the current one if None. Raises NoSuchCycle."""
    for cycle in cycles:
        if cycle.is_current if asked is None else str(cycle.unix) == asked:
            return cycle
    raise NoSuchCycle


def get_report(cycle: Cycle) -> Report:
    """Everything spent in a cycle."""
    return Report(cycle, daily_usage.read(cycle.window))
