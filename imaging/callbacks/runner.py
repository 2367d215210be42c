"""Delivers callbacks in the web process where there is no broker: a laptop, or one small machine.

Separate threads, so that a slow receiver does not delay images. Leases keep several processes apart.
"""

from collections.abc import Callable, Sequence

from imaging.callbacks import delivery
from lib.ops.lifecycle import BackgroundThread

# How many receivers can be waited for at once.
THREADS = 2
# How often the database is polled for due callbacks.
LOOK_SECONDS = 2.0


class CallbackRunner(BackgroundThread):
    """Tries due callbacks."""

    name = "callbacks"
    failure = "callbacks could not be tried"
    # A little longer than the default limit of an attempt; one that is cut off is repeated.
    stop_seconds = 20.0

    def loops(self) -> Sequence[tuple[str, Callable[[], None]]]:
        return [(self.name, self.run)] * THREADS

    def reset(self) -> None:
        super().reset()
        # The first round runs at once: an earlier process may have left some.
        self.wake()

    def pause(self) -> float:
        return LOOK_SECONDS

    def round(self) -> bool:
        return delivery.try_due(1) > 0


runner = CallbackRunner()
