"""Works on batches in the web process, where no broker and no workers are: a laptop, or one small machine.

Leases keep several web processes out of each other's way, and let work go on after a restart or a kill. Pictures of
requests go first: see `Gate.admit`.
"""

import logging
import threading
import time

from django.conf import settings

from imaging.batches import expiry, leases, upkeep, wakeup, work
from imaging.executor import runtime
from imaging.models import BatchItem
from lib.ops import database
from lib.ops.database import give_back

logger = logging.getLogger(__name__)

# How often the database is asked for work that another process has got, or that a killed one has left.
LOOK_SECONDS = 2.0
# Pictures at once in one process: each has a connection to the database, and PostgreSQL allows a hundred. For more there are
# workers.
MOST = 16
TEND_SECONDS = 60.0
# Orphans are an hour old before they are erased.
ORPHANS_SECONDS = 3600.0
# How long a process that stops waits for the pictures in hand; what is not done then, another one does again.
STOP_SECONDS = 20.0


class Runner:
    """Threads that work, and one that tidies up."""

    def __init__(self) -> None:
        self._threads: list[threading.Thread] = []
        self._stopping = threading.Event()
        self._looking = threading.Lock()

    def start(self) -> None:
        """Work from now on. Starting twice is once."""
        if self._threads:
            return
        # One place stays free for requests.
        workers = max(1, min(settings.IMAGING_SLOTS - 1, MOST))
        self._threads = [threading.Thread(target=self._run, name="batches", daemon=True) for _ in range(workers)]
        self._threads.append(threading.Thread(target=self._tend, name="batches-tend", daemon=True))
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Take nothing more, and wait a while for what is in hand."""
        self._stopping.set()
        wakeup.wake()
        deadline = time.monotonic() + STOP_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _run(self) -> None:
        while (item := self._next()) is not None:
            try:
                work.work(item)
            except Exception:
                # Its lease runs out, and somebody tries again.
                logger.exception("a picture of a batch was left")
            finally:
                give_back()

    def _next(self) -> BatchItem | None:
        """Wait for a picture to work on; None when the process stops. One thread looks, the others wait behind it."""
        with self._looking:
            while not self._stopping.is_set():
                wakeup.clear()
                if item := self._find():
                    return item
                wakeup.wait(LOOK_SECONDS)
        return None

    def _find(self) -> BatchItem | None:
        if not runtime.is_ready():
            # Every picture would fail of it.
            return None
        try:
            return leases.take_next()
        except Exception as error:
            _report(error, "no work could be looked for")
            return None
        finally:
            give_back()

    def _tend(self) -> None:
        orphans_at = time.monotonic()
        while not self._stopping.wait(TEND_SECONDS):
            try:
                upkeep.tend()
                if time.monotonic() >= orphans_at:
                    orphans_at = time.monotonic() + ORPHANS_SECONDS
                    expiry.erase_orphans()
            except Exception as error:
                _report(error, "batches could not be tended")
            finally:
                give_back()


def _report(error: Exception, text: str) -> None:
    """An outage of the database is news once, and no defect of ours."""
    if database.is_outage(error):
        database.note_outage(error)
    else:
        logger.error(text, exc_info=error)


runner = Runner()
