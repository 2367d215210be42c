"""Tries callbacks in the web process, where there is no broker: a laptop, or one small machine.

Threads of their own, so that a receiver that is slow keeps no picture waiting. Leases keep several processes apart.
"""

import logging
import threading
import time

from imaging.callbacks import delivery
from lib.ops import database
from lib.ops.database import give_back

logger = logging.getLogger(__name__)

# How many receivers are waited for at once.
THREADS = 2
# How often the database is asked what is due.
LOOK_SECONDS = 2.0
# A process that stops waits a little longer than a try takes by default; one that is cut off is made again.
STOP_SECONDS = 20.0


class CallbackRunner:
    """The threads."""

    def __init__(self) -> None:
        self._threads: list[threading.Thread] = []
        self._stopping = threading.Event()
        self._news = threading.Event()

    def start(self) -> None:
        """Work from now on. Starting twice is once."""
        if self._threads:
            return
        self._threads = [threading.Thread(target=self._run, name="callbacks", daemon=True) for _ in range(THREADS)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Begin no more tries, and wait a while for those that have begun."""
        self._stopping.set()
        self._news.set()
        deadline = time.monotonic() + STOP_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def wake(self) -> None:
        """Something is due."""
        self._news.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._news.clear()
            if not self._try_one():
                self._news.wait(LOOK_SECONDS)

    def _try_one(self) -> bool:
        try:
            return delivery.try_due(1) > 0
        except Exception as error:
            if database.is_outage(error):
                database.note_outage(error)
            else:
                logger.exception("callbacks could not be tried")
            return False
        finally:
            give_back()


runner = CallbackRunner()
