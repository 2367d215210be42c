"""Bounds the work in progress: so many pictures at once, so many megapixels at once, a queue with an end behind it."""

import math
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import Gauge

from config import metrics
from config.errors import ApiError

# Half of a full queue's worth of work is gone after about this long; sooner would find it full again.
RETRY_AFTER_SECONDS = 5


def _gauge(name: str, text: str) -> Gauge:
    """Over all web processes that live."""
    return Gauge(name, text, multiprocess_mode="livesum", registry=metrics.registry)


SLOTS = _gauge("rembg_slots", "Pictures that may be worked on at once.")
BUSY = _gauge("rembg_slots_busy", "Pictures worked on now.")
QUEUE_SIZE = _gauge("rembg_queue_size", "Requests that may wait for a slot.")
WAITING = _gauge("rembg_queue_waiting", "Requests that wait for a slot now.")


class Gate:
    """First come, first served.

    `slots` pictures may be inside at once, together weighing at most `megapixels`; a picture that weighs more counts as
    `megapixels` and so runs alone. Up to `queue_size` callers wait, each at most `seconds`.
    """

    def __init__(self, *, slots: int, megapixels: float, queue_size: int, seconds: float) -> None:
        self.slots = slots
        self.megapixels = megapixels
        self.queue_size = queue_size
        self.seconds = seconds
        self.running = 0
        self.weight = 0.0
        self._queue: deque[object] = deque()
        self._changed = threading.Condition()

    @property
    def waiting(self) -> int:
        """Callers in the queue."""
        return len(self._queue)

    @property
    def is_full(self) -> bool:
        """Whether the next caller may be turned away, where callers wait; else whether every place is taken."""
        return self.waiting >= self.queue_size if self.queue_size else self.running >= self.slots

    @contextmanager
    def admit(self, megapixels: float, *, patient: bool = False) -> Iterator[float]:
        """Wait for a place and keep it for the block. Yields the seconds waited.

        Whoever is `patient` takes no place in the queue and lets everybody in it go first.
        Raises ApiError 503 `server_busy`, with Retry-After, when the queue is full or the deadline has passed.
        """
        weight = min(megapixels, self.megapixels)
        started = time.monotonic()
        enter = self._enter_last if patient else self._enter
        enter(weight, started + self.seconds)
        try:
            yield time.monotonic() - started
        finally:
            self._leave(weight)

    def _enter(self, weight: float, deadline: float) -> None:
        ticket = object()
        with self._changed:
            if not self._queue and self._fits(weight):
                self._occupy(weight)
                return
            if len(self._queue) >= self.queue_size:
                raise server_busy()
            self._queue.append(ticket)
            WAITING.inc()
            try:
                self._wait_for_turn(ticket, weight, deadline)
            finally:
                self._queue.remove(ticket)
                WAITING.dec()
                # Whoever is next may fit now, be it because this one went in or because it gave up.
                self._changed.notify_all()
            self._occupy(weight)

    def _enter_last(self, weight: float, deadline: float) -> None:
        with self._changed:
            while self._queue or not self._fits(weight):
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    raise server_busy()
                self._changed.wait(remaining)
            self._occupy(weight)

    def _wait_for_turn(self, ticket: object, weight: float, deadline: float) -> None:
        while self._queue[0] is not ticket or not self._fits(weight):
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise server_busy()
            self._changed.wait(remaining)

    def _fits(self, weight: float) -> bool:
        # Sums of floats drift: an empty gate takes anyone.
        return self.running < self.slots and (self.running == 0 or self.weight + weight <= self.megapixels)

    def _occupy(self, weight: float) -> None:
        self.running += 1
        BUSY.inc()
        self.weight += weight

    def _leave(self, weight: float) -> None:
        with self._changed:
            self.running -= 1
            BUSY.dec()
            self.weight = math.fsum((self.weight, -weight)) if self.running else 0.0
            self._changed.notify_all()


def server_busy() -> ApiError:
    """The answer when every place is taken."""
    return ApiError(
        503,
        "server_busy",
        "All processing slots and queue places are taken. Please try again in a few seconds.",
        headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
    )
