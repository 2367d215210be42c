"""Processes batches in the web process where there is no broker and no workers: a laptop, or one small machine.

Leases keep several web processes apart, and let work go on after a restart or a kill. Images of requests have priority:
see `Gate.admit`.
"""

import threading
import time
from collections.abc import Callable, Sequence
from functools import partial

from django.conf import settings

from imaging.batches import expiry, leases, upkeep, work
from imaging.executor import runtime
from imaging.models import BatchItem
from lib.ops.lifecycle import BackgroundThread

# How often the database is polled for work that another process received, or that a killed one left.
LOOK_SECONDS = 2.0
# Images at once in one process: each uses a database connection, and PostgreSQL allows a hundred. Use workers for more.
MOST = 16
TEND_SECONDS = 60.0
# Orphans are an hour old before they are erased.
ORPHANS_SECONDS = 3600.0


class Runner(BackgroundThread):
    """Threads that work, and one that tidies up."""

    name = "batches"
    failure = "batches could not be tended"
    # Another process repeats what is not done by then.
    stop_seconds = 20.0

    def reset(self) -> None:
        super().reset()
        self._looking = threading.Lock()

    def loops(self) -> Sequence[tuple[str, Callable[[], None]]]:
        # One slot stays free for requests.
        workers = max(1, min(settings.IMAGING_SLOTS - 1, MOST))
        return [*[(self.name, self._work)] * workers, ("batches-tend", self._tend)]

    def _work(self) -> None:
        while (item := self._next()) is not None:
            # After a failure its lease expires, and it is retried.
            self.attempt(partial(work.work, item), "an image of a batch was left")

    def _next(self) -> BatchItem | None:
        """Wait for an item to work on; None when the process stops. One thread polls; the others wait for it."""
        with self._looking:
            while not self._stopping.is_set():
                # Without the model, every image would fail.
                if runtime.is_ready() and (item := self.attempt(leases.take_next, "no work could be looked for")):
                    return item
                self.sleep(LOOK_SECONDS)
        return None

    def _tend(self) -> None:
        orphans_at = time.monotonic()
        while not self._stopping.wait(TEND_SECONDS):
            self.attempt(upkeep.tend, self.failure)
            if time.monotonic() >= orphans_at:
                orphans_at = time.monotonic() + ORPHANS_SECONDS
                self.attempt(expiry.erase_orphans, self.failure)


runner = Runner()
