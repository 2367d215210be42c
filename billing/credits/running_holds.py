"""Renews the holds of requests that are being worked on, so that the sweep voids only what a killed process left.

One thread of a process renews all of its holds, with one statement a minute for those that are older than a minute: a
request of the usual length costs the database nothing. After `kill -9` the renewals stop, and the hold is stale within
`ledger.STALE_HOLD` of the last one.
"""

import logging
import os
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import Error, connection

from billing.credits import ledger
from billing.models import Hold

logger = logging.getLogger(__name__)

# Of STALE_HOLD's 15 minutes: a database that is away for ten of them costs no hold.
RENEW_SECONDS = 60.0


class RunningHolds:
    """The holds of one process, each with the second at which its request began."""

    def __init__(self) -> None:
        self._forget()

    def _forget(self) -> None:
        """Start empty and without a thread: also in a forked child, whose parent renews its own holds."""
        self._since: dict[uuid.UUID, float] = {}
        self._guard = threading.Lock()
        self._thread: threading.Thread | None = None

    @contextmanager
    def kept(self, held: Hold) -> Iterator[None]:
        """Renew the hold for as long as the block runs."""
        with self._guard:
            self._since[held.pk] = time.monotonic()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="running-holds", daemon=True)
                self._thread.start()
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

    def _run(self) -> None:
        while True:
            time.sleep(RENEW_SECONDS)
            try:
                self.renew()
            except Error:
                logger.warning("holds of running requests not renewed", exc_info=True)
            except Exception:
                logger.exception("holds of running requests not renewed")
            finally:
                # Needed once a minute at most: other threads need the connection more.
                connection.close()


running = RunningHolds()
os.register_at_fork(after_in_child=running._forget)
