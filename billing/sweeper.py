"""The sweep in the web process, where no Celery beat asks for it, or none that lives.

All web processes look once a minute whether a sweep is due, and one does it. Beat's own puts it off, so that a deployment
with beat sweeps as often as ever, and one whose beat has died goes on without.
"""

from accounts import chores
from billing import tasks
from billing.credits import after_post as usage
from lib.ops.lifecycle import BackgroundThread

LOOK_SECONDS = 60.0


class Sweeper(BackgroundThread):
    """Sweeps when it is due."""

    name = "sweeper"
    failure = "the sweep failed"
    # The next process goes on where a sweep that is under way ends.
    stop_seconds = 10.0

    def pause(self) -> float:
        return LOOK_SECONDS

    def round(self) -> None:
        """Write lost copies of usage, and sweep if that is due and no other process does it."""
        usage.write_lost()
        if chores.take(tasks.SWEEP, tasks.SWEEP_PAUSE):
            tasks.sweep()


sweeper = Sweeper()
