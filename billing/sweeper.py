"""Runs the sweep in the web process when Celery beat is missing or dead.

Every web process checks once a minute whether a sweep is due, and one runs it. A sweep by beat postpones the next one, so a
deployment with beat sweeps as often as before, and one whose beat has died keeps sweeping.
"""

from accounts import chores
from billing import tasks
from billing.credits import after_post as usage
from lib.ops.lifecycle import BackgroundThread

LOOK_SECONDS = 60.0


class Sweeper(BackgroundThread):
    """Sweeps when a sweep is due."""

    name = "sweeper"
    failure = "the sweep failed"
    # The next process continues where an interrupted sweep stopped.
    stop_seconds = 10.0

    def pause(self) -> float:
        return LOOK_SECONDS

    def round(self) -> None:
        """Write lost copies of usage, and sweep if that is due and no other process is doing it."""
        usage.write_lost()
        if chores.take(tasks.SWEEP, tasks.SWEEP_PAUSE):
            tasks.sweep()


sweeper = Sweeper()
