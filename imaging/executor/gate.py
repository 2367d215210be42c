"""Bounds the work in progress: a number of images, a number of megapixels, and a queue of limited length.

`imaging.executor.fair_queue` decides who is next; this module handles the waiting threads.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from prometheus_client import Gauge

from imaging.core.problems import CallerGone
from imaging.executor.fair_queue import SOMEONE, FairQueue, Requester, State, Ticket
from lib.ops import metrics

# Half the work of a full queue is done after about this long; a retry any sooner would find it full again.
# How often a waiting request checks whether its caller is still there.
LOOK_SECONDS = 1.0


def _gauge(name: str, text: str) -> Gauge:
    """A gauge summed over all live web processes."""
    return Gauge(name, text, multiprocess_mode="livesum", registry=metrics.registry)


SLOTS = _gauge("rembg_slots", "Images that may be worked on at once.")
BUSY = _gauge("rembg_slots_busy", "Images worked on now.")
QUEUE_SIZE = _gauge("rembg_queue_size", "Requests that may wait for a slot.")
WAITING = _gauge("rembg_queue_waiting", "Requests that wait for a slot now.")


class Busy(Exception):
    """Every place is taken, here or by the workers. The caller may try again in a few seconds."""


class LeftQueue(CallerGone):
    """The caller has gone before the work on its image began."""


class Gate:
    """A fair queue for threads.

    `slots` images may be inside at once, together weighing at most `megapixels`; an image that weighs more counts as
    `megapixels` and so runs alone. Up to `queue_size` callers wait, each at most `seconds`.
    """

    def __init__(
        self, *, slots: int, megapixels: float, queue_size: int, seconds: float, large_slots: int | None = None
    ) -> None:
        self.seconds = seconds
        self._queue = FairQueue(
            slots=slots, megapixels=megapixels, queue_size=queue_size, large_slots=large_slots, notify=self._wake
        )
        # Held only for decisions. Each waiting thread has its own event, so one decision wakes one thread.
        self._lock = threading.Lock()
        self._events: dict[Ticket, threading.Event] = {}
        self._busy_shown = self._waiting_shown = 0

    @property
    def slots(self) -> int:
        """Images that may be inside at once."""
        return self._queue.slots

    @property
    def queue_size(self) -> int:
        """Callers that may wait."""
        return self._queue.queue_size

    @property
    def running(self) -> int:
        """Images inside."""
        return len(self._queue.running)

    @property
    def weight(self) -> float:
        """Their megapixels."""
        return self._queue.weight

    @property
    def waiting(self) -> int:
        """Callers in the queue, without images of batches."""
        return self._queue.waiting

    @property
    def is_full(self) -> bool:
        """With a queue, whether the next caller may be turned away; without one, whether every place is taken."""
        return self.waiting >= self.queue_size if self.queue_size else self.running >= self.slots

    @contextmanager
    def admit(
        self, megapixels: float, requester: Requester = SOMEONE, still_wanted: Callable[[], bool] | None = None
    ) -> Iterator[float]:
        """Wait for a place and keep it for the block. Yields the seconds waited.

        Raises Busy when the queue has no place for this caller or the deadline has
        passed; LeftQueue within about a second after `still_wanted` has become false.
        """
        started = time.monotonic()
        ticket = self._enter(megapixels, requester, still_wanted)
        try:
            yield time.monotonic() - started
        finally:
            with self._lock:
                self._queue.leave(ticket, time.monotonic())
                self._show()

    def resize(self, *, slots: int, queue_size: int, large_slots: int) -> None:
        """Change the bounds; no one is turned away by it."""
        with self._lock:
            self._queue.resize(slots=slots, queue_size=queue_size, large_slots=large_slots, now=time.monotonic())
            self._show()

    def _enter(self, megapixels: float, requester: Requester, still_wanted: Callable[[], bool] | None) -> Ticket:
        now = time.monotonic()
        with self._lock:
            ticket = self._queue.arrive(requester, megapixels, now)
            found = ticket.state
            if found is State.WAITING:
                event = self._events[ticket] = threading.Event()
            self._show()
        if found is State.WAITING:
            try:
                self._wait(event, now + self.seconds, still_wanted)
            except BaseException:
                with self._lock:
                    self._give_up(ticket)
                raise
            with self._lock:
                found = ticket.state
                if found is State.WAITING:
                    self._give_up(ticket)
        if found is not State.ADMITTED:
            raise Busy
        return ticket

    def _wait(self, event: threading.Event, deadline: float, still_wanted: Callable[[], bool] | None) -> None:
        while (remaining := deadline - time.monotonic()) > 0:
            if event.wait(remaining if still_wanted is None else min(remaining, LOOK_SECONDS)):
                return
            if still_wanted is not None and not still_wanted():
                raise LeftQueue

    def _give_up(self, ticket: Ticket) -> None:
        self._events.pop(ticket, None)
        now = time.monotonic()
        if ticket.state is State.ADMITTED:
            self._queue.leave(ticket, now)
        else:
            self._queue.cancel(ticket, now)
        self._show()

    def _wake(self, ticket: Ticket) -> None:
        self._events.pop(ticket).set()

    def _show(self) -> None:
        """Update the gauges that have changed."""
        running, waiting = self.running, self.waiting
        if running != self._busy_shown:
            BUSY.inc(running - self._busy_shown)
            self._busy_shown = running
        if waiting != self._waiting_shown:
            WAITING.inc(waiting - self._waiting_shown)
            self._waiting_shown = waiting
