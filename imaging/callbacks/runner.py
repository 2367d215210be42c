"""Tries callbacks in the web process, where there is no broker: a laptop, or one small machine.

Threads of their own, so that a receiver that is slow keeps no picture waiting. Leases keep several processes apart.
"""

from collections.abc import Callable, Sequence

from imaging.callbacks import delivery
from lib.ops.lifecycle import BackgroundThread

# How many receivers are waited for at once.
THREADS = 2
# How often the database is asked what is due.
LOOK_SECONDS = 2.0


class CallbackRunner(BackgroundThread):
    """Tries what is due."""

    name = "callbacks"
    failure = "callbacks could not be tried"
    # A little longer than a try takes by default; one that is cut off is made again.
    stop_seconds = 20.0

    def loops(self) -> Sequence[tuple[str, Callable[[], None]]]:
        return [(self.name, self.run)] * THREADS

    def reset(self) -> None:
        super().reset()
        # The first round comes at once: a process that has ended may have left some.
        self.wake()

    def pause(self) -> float:
        return LOOK_SECONDS

    def round(self) -> bool:
        return delivery.try_due(1) > 0


runner = CallbackRunner()
