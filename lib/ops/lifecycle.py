"""Background threads next to a process's requests: their base class, and how they start and stop together.

An app registers its parts in `ready()`. A web process starts all of them after the fork, and stops them in reverse order.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar
from weakref import WeakSet

from lib.ops import database

logger = logging.getLogger(__name__)

T = TypeVar("T")


class Part(Protocol):
    """Something to start and to stop: a `BackgroundThread`, or a module with these functions."""

    def start(self) -> None: ...

    def stop(self) -> None: ...


class BackgroundThread:
    """A daemon thread that works in rounds, `pause` apart, until it is stopped.

    A subclass gives the pause and the round. Its constructor, if it has one, ends with `super().__init__()`.
    """

    name: str
    # Logged when a round fails for a reason other than a database outage.
    failure: str
    # How long `stop` waits for work in progress.
    stop_seconds: float = 10.0
    # Whether to run one more round when stopped.
    has_last_round = False

    def __init__(self) -> None:
        self.reset()
        _all.add(self)

    def reset(self) -> None:
        """Start empty and without a thread. Also called in a forked child, which has the object but not the thread.

        A subclass also drops the work that the parent process continues.
        """
        self._starting = threading.Lock()
        self._stopping = threading.Event()
        self._news = threading.Event()
        self._threads: list[threading.Thread] = []

    def pause(self) -> float | None:
        """Seconds until the next round; None to wait for `wake`."""
        raise NotImplementedError

    def round(self) -> bool | None:
        """Work once. True if the next round may follow at once."""
        raise NotImplementedError

    def loops(self) -> Sequence[tuple[str, Callable[[], None]]]:
        """Name and function of each thread; here one that does the rounds."""
        return [(self.name, self.run)]

    def start(self) -> None:
        """Start working. Idempotent; starting a stopped one does nothing."""
        with self._starting:
            if self._threads or self._stopping.is_set():
                return
            self._threads = [threading.Thread(target=run, name=name, daemon=True) for name, run in self.loops()]
            for thread in self._threads:
                thread.start()

    def stop(self) -> None:
        """Begin no more rounds, and wait up to `stop_seconds` for work in progress."""
        self._stopping.set()
        self._news.set()
        deadline = time.monotonic() + self.stop_seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def wake(self) -> None:
        """End the pause: there is work."""
        self._news.set()

    def run(self) -> None:
        """The thread."""
        while not self._stopping.is_set():
            self.sleep(self.pause())
            while not self._stopping.is_set() and self.run_once():
                pass
        if self.has_last_round:
            self.run_once()

    def sleep(self, seconds: float | None) -> None:
        """Wait for `wake` or `stop`, at most `seconds`."""
        self._news.wait(seconds)
        if not self._stopping.is_set():
            self._news.clear()

    def run_once(self) -> bool:
        """Run one round in the caller's thread. Returns whether the next may follow at once. A failure is logged."""
        return bool(self.attempt(self.round, self.failure))

    def attempt(self, work: Callable[[], T], failure: str) -> T | None:
        """Do some work and return its value; None if it failed, which is logged as `failure`, or as an outage."""
        try:
            return work()
        except Exception as error:
            if database.is_outage(error):
                database.note_outage(error)
            else:
                logging.getLogger(type(self).__module__).error(failure, exc_info=error)
            return None
        finally:
            # Django maintains its connections when a request begins or ends, which never happens here.
            database.give_back()


_parts: dict[str, Part] = {}
_all: WeakSet[BackgroundThread] = WeakSet()


def register(name: str, part: Part) -> None:
    """Have web processes start this part after those already registered, and stop it before them."""
    _parts[name] = part


def start_all() -> None:
    """Start all registered parts in order. Call it after the fork: threads do not survive one."""
    for part in _parts.values():
        part.start()


def stop_all() -> None:
    """Stop all registered parts, last one first. One that fails does not keep the others from stopping."""
    for name, part in reversed(_parts.items()):
        try:
            part.stop()
        except Exception:
            logger.exception("a part did not stop", extra={"part": name})


def wake(name: str) -> None:
    """Wake the registered thread of this name, if any: for callers that must not import it."""
    part = _parts.get(name)
    if isinstance(part, BackgroundThread):
        part.wake()


def _reset_all() -> None:
    for one in list(_all):
        one.reset()


os.register_at_fork(after_in_child=_reset_all)
