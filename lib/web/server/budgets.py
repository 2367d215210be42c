"""Bytes that clients may occupy in this process: in total, and per holder."""

import threading
from functools import cache

from django.conf import settings

MEBIBYTE = 1024**2
# Callers without a credential share a quarter of the budget for bodies; an address has room for two of the largest images.
VISITOR_BYTES = 128 * MEBIBYTE


class Budget:
    """Counts bytes per holder; safe from any thread.

    A holder gets at most `share` of `total` bytes, so that one cannot crowd out all others.
    """

    def __init__(self, total: int, share: int) -> None:
        self.total, self.share = total, min(share, total)
        self.used = 0
        self._held: dict[str, int] = {}
        # The garbage collector may call give_back in a thread that is just inside take.
        self._lock = threading.RLock()

    def take(self, holder: str, size: int) -> bool:
        """Take `size` bytes for a holder. If that is too much, returns False and takes nothing."""
        with self._lock:
            held = self._held.get(holder, 0)
            if self.used + size > self.total or held + size > self.share:
                return False
            self.used += size
            self._held[holder] = held + size
            return True

    def has_room(self, holder: str) -> bool:
        """Whether the holder could take anything now."""
        with self._lock:
            return self.used < self.total and self._held.get(holder, 0) < self.share

    def give_back(self, holder: str, size: int) -> None:
        """Free the bytes."""
        with self._lock:
            self.used -= size
            left = self._held.get(holder, 0) - size
            if left > 0:
                self._held[holder] = left
            else:
                self._held.pop(holder, None)


@cache
def visitor_bodies() -> Budget:
    """Request bodies of unidentified callers, by address."""
    return Budget(settings.WEB_BODY_BYTES // 4, VISITOR_BYTES)


@cache
def customer_bodies() -> Budget:
    """Request bodies of callers with a valid credential, by account."""
    total = settings.WEB_BODY_BYTES - settings.WEB_BODY_BYTES // 4
    return Budget(total, total // 2)


@cache
def results() -> Budget:
    """Results on disk that their callers have not read yet, by the subject of the caller's limits."""
    return Budget(settings.WEB_RESULT_BYTES, settings.WEB_RESULT_BYTES // 4)


def reset() -> None:
    """Start again with the current settings: for tests."""
    for budget in (visitor_bodies, customer_bodies, results):
        budget.cache_clear()
