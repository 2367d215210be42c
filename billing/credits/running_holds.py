"""Renews the holds of running requests, so that the sweep voids only those of killed processes.

One thread per process renews all of its holds that are older than a minute, with one statement a minute. A request of usual
length costs the database nothing. After `kill -9` the renewals stop, and the hold is stale within `ledger.STALE_HOLD` of
the last one.
"""

import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from billing.credits import ledger
from billing.models import Hold
from lib.ops.lifecycle import BackgroundThread

# STALE_HOLD is 15 minutes: a database outage of ten minutes costs no hold.
RENEW_SECONDS = 60.0


class RunningHolds(BackgroundThread):
    """The holds of one process, each with the time (monotonic seconds) at which its request began."""

    name = "running-holds"
    failure = "holds of running requests not renewed"

    def reset(self) -> None:
        super().reset()
        # A forked child starts with none: the parent renews its own.
        self._since: dict[uuid.UUID, float] = {}
        self._guard = threading.Lock()

    @contextmanager
    def kept(self, held: Hold) -> Iterator[None]:
        """Renew the hold for as long as the block runs."""
        with self._guard:
            self._since[held.pk] = time.monotonic()
        self.start()
        try:
            yield
        finally:
            with self._guard:
                self._since.pop(held.pk, None)

    def renew(self, older_than: float = RENEW_SECONDS) -> int:
        """Renew the holds older than `older_than` seconds. Returns how many are still open."""
        begun = time.monotonic() - older_than
        with self._guard:
            old = [pk for pk, since in self._since.items() if since <= begun]
        return ledger.keep_held(old) if old else 0

    def pause(self) -> float:
        return RENEW_SECONDS

    def round(self) -> None:
        self.renew()


running = RunningHolds()
