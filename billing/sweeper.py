"""The sweep in the web process, where no Celery beat asks for it, or none that lives.

All web processes look once a minute whether a sweep is due, and one does it. Beat's own puts it off, so that a deployment
with beat sweeps as often as ever, and one whose beat has died goes on without.
"""

import logging
import threading

from accounts import chores
from billing import tasks
from billing.credits import after_post as usage
from lib.ops.database import give_back

logger = logging.getLogger(__name__)

LOOK_SECONDS = 60.0
# How long a process that stops waits for a sweep that is under way; the next one goes on where it ends.
STOP_SECONDS = 10.0


class Sweeper:
    """A thread that sweeps when it is due."""

    def __init__(self) -> None:
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Look from now on. Starting twice is once."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="sweeper", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(STOP_SECONDS)

    def look(self) -> None:
        """Write lost copies of usage, and sweep if that is due and no other process does it. Never raises."""
        try:
            usage.write_lost()
            if chores.take(tasks.SWEEP, tasks.SWEEP_PAUSE):
                tasks.sweep()
        except Exception:
            logger.exception("the sweep failed")
        finally:
            # No request begins or ends here, which is when Django looks after its connections.
            give_back()

    def _run(self) -> None:
        while not self._stopping.wait(LOOK_SECONDS):
            self.look()


sweeper = Sweeper()
