"""Leases on batch items. A worker processes an item only while it holds the lease and keeps renewing it.

A lease that is not renewed expires within LEASE, and any worker may take the item again. So work goes on after a process
is killed.
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
# How many items are tried to find one that no other worker has taken meanwhile.
CANDIDATES = 16


def take(pk: int) -> BatchItem | None:
    """Take a lease on an item that is queued or whose lease has expired. None if it has ended or another worker has it."""
    now = timezone.now()
    free = Q(state=BatchItem.State.QUEUED) | Q(state=BatchItem.State.RUNNING, leased_until__lte=now)
    taken = BatchItem.objects.filter(free, pk=pk).update(
        state=BatchItem.State.RUNNING, leased_until=now + LEASE, attempts=F("attempts") + 1
    )
    return BatchItem.objects.select_related("batch__account__plan", "hold").get(pk=pk) if taken else None


def take_next() -> BatchItem | None:
    """Take a lease on the next item; None if none is waiting.

    Accounts take turns in this process, however many batches each has. The batches of one account take turns as in
    `find_waiting`.
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


# The number of each waiting account's last turn. An account that has had none is next.
_turns: dict[int, int] = {}


def find_waiting(limit: int, account: int | None = None) -> list[int]:
    """Items that may be taken now. Batches take turns: the first item of each, then the second of each, and so on."""
    items = BatchItem.objects.filter(waiting(timezone.now()))
    if account is not None:
        items = items.filter(batch__account=account)
    return list(items.order_by("position", "pk").values_list("pk", flat=True)[:limit])


def waiting(now: datetime) -> Q:
    """Queued items that are due, and running ones whose lease has expired."""
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
    """Whether the lease taken with `item` is still valid: the item has not ended, and no other worker has taken it."""
    return BatchItem.objects.filter(pk=item.pk, state=BatchItem.State.RUNNING, attempts=item.attempts).exists()


def renew(held: dict[int, int]) -> None:
    """Renew leases, given as attempts by primary key. One that another worker has taken over is left alone."""
    for pk, attempts in held.items():
        own = BatchItem.objects.filter(pk=pk, state=BatchItem.State.RUNNING, attempts=attempts)
        own.update(leased_until=timezone.now() + LEASE)


_keeper = _Keeper()
