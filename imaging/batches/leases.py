"""Who works on a picture: whoever holds its lease, for as long as he renews it.

A lease that is not renewed is over within LEASE, and the picture is anybody's again: so work goes on after a process was
killed, whatever it had in hand.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from django.db.models import F, Q
from django.utils import timezone

from imaging.models import BatchItem
from lib.ops.lifecycle import BackgroundThread

LEASE = timedelta(seconds=30)
RENEW_SECONDS = 10.0
# How many pictures are looked at for one that nobody else has taken meanwhile.
CANDIDATES = 16


def take(pk: int) -> BatchItem | None:
    """Take a lease on a picture that waits or whose lease is over. None if there is nothing to do, or somebody does it."""
    now = timezone.now()
    free = Q(state=BatchItem.State.QUEUED) | Q(state=BatchItem.State.RUNNING, leased_until__lte=now)
    taken = BatchItem.objects.filter(free, pk=pk).update(
        state=BatchItem.State.RUNNING, leased_until=now + LEASE, attempts=F("attempts") + 1
    )
    return BatchItem.objects.select_related("batch", "hold").get(pk=pk) if taken else None


def take_next() -> BatchItem | None:
    """Take a lease on the picture whose turn it is; None if none waits.

    Accounts take turns in this process, however many batches each has; those of one account take turns as in `find_waiting`.
    """
    accounts = BatchItem.objects.filter(waiting(timezone.now())).values_list("batch__account", flat=True).distinct()
    turns = {account: _turns.get(account, 0) for account in accounts.order_by("batch__account")}
    _turns.clear()
    _turns.update(turns)
    for account in sorted(turns, key=turns.__getitem__):
        for pk in find_waiting(CANDIDATES, account):
            if item := take(pk):
                _turns[account] = max(turns.values()) + 1
                return item
    return None


# The number of each waiting account's last turn. One that has had none yet is next.
_turns: dict[int, int] = {}


def find_waiting(limit: int, account: int | None = None) -> list[int]:
    """Pictures that may be taken now. Batches take turns: first the first picture of each, then the second of each."""
    items = BatchItem.objects.filter(waiting(timezone.now()))
    if account is not None:
        items = items.filter(batch__account=account)
    return list(items.order_by("position", "pk").values_list("pk", flat=True)[:limit])


def waiting(now: datetime) -> Q:
    """Queued ones whose time has come, and running ones whose lease is over."""
    due = Q(leased_until=None) | Q(leased_until__lte=now)
    return (Q(state=BatchItem.State.QUEUED) & due) | Q(state=BatchItem.State.RUNNING, leased_until__lte=now)


@contextmanager
def kept(item: BatchItem) -> Iterator[None]:
    """Renew the lease for as long as the block runs."""
    _keeper.add(item)
    try:
        yield
    finally:
        _keeper.remove(item)


class _Keeper(BackgroundThread):
    """Renews all leases of a process, every RENEW_SECONDS for as long as there are any."""

    name = "batch-leases"
    failure = "leases of batches not renewed"

    def reset(self) -> None:
        super().reset()
        self._items: dict[int, int] = {}
        self._guard = threading.Lock()
        self._due = 0.0

    def add(self, item: BatchItem) -> None:
        with self._guard:
            is_first = not self._items
            self._items[item.pk] = item.attempts
            if is_first:
                self._due = time.monotonic() + RENEW_SECONDS
        self.start()
        if is_first:
            self.wake()

    def remove(self, item: BatchItem) -> None:
        with self._guard:
            self._items.pop(item.pk, None)

    def pause(self) -> float | None:
        with self._guard:
            return max(0.0, self._due - time.monotonic()) if self._items else None

    def round(self) -> None:
        with self._guard:
            if time.monotonic() < self._due:
                return
            self._due = time.monotonic() + RENEW_SECONDS
            held = dict(self._items)
        renew(held)


def is_held(item: BatchItem) -> bool:
    """Whether the lease that was taken with `item` still counts: not once the item has ended, or another has taken it."""
    return BatchItem.objects.filter(pk=item.pk, state=BatchItem.State.RUNNING, attempts=item.attempts).exists()


def renew(held: dict[int, int]) -> None:
    """Renew leases, given as attempts by primary key. One that another has taken over meanwhile is left alone."""
    for pk, attempts in held.items():
        own = BatchItem.objects.filter(pk=pk, state=BatchItem.State.RUNNING, attempts=attempts)
        own.update(leased_until=timezone.now() + LEASE)


_keeper = _Keeper()
