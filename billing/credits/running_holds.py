"""Renews the holds of requests that are being worked on, so that the sweep voids only what a killed process left.

One thread of a process renews all of its holds, with one statement a minute for those that are older than a minute: a
request of the usual length costs the database nothing. After `kill -9` the renewals stop, and the hold is stale within
`ledger.STALE_HOLD` of the last one.
"""

import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from billing.credits import ledger
from billing.models import Hold
from lib.ops.lifecycle import BackgroundThread

# Of STALE_HOLD's 15 minutes: a database that is away for ten of them costs no hold.
RENEW_SECONDS = 60.0


class RunningHolds(BackgroundThread):
    """The holds of one process, each with the second at which its request began."""

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
        """Renew the holds that are older than so many seconds. Returns how many are still open."""
        begun = time.monotonic() - older_than
        with self._guard:
            old = [pk for pk, since in self._since.items() if since <= begun]
        return ledger.keep_held(old) if old else 0

    def pause(self) -> float:
        return RENEW_SECONDS

    def round(self) -> None:
        self.renew()


running = RunningHolds()
