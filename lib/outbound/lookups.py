"""Look-ups of customers' host names with the system's own resolver, and a bound on what a slow one can hold up.

A look-up cannot be interrupted, only abandoned: it ends with the system's own timeouts (resolv.conf, `options timeout`).
So each runs in a daemon thread, which process exit does not wait for, and owners share the threads fairly. A DNS library
could be interrupted, but ignores /etc/hosts, nsswitch.conf, search domains and local caches, by which operators decide what
a name means.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial

from lib.outbound.fair_places import FairPlaces

# At once in one process and pool.
PLACES = 32
PER_OWNER = 2
# An abandoned look-up counts against its owner for this long: longer than the default of resolv.conf with two name
# servers, 5 s x 2 x 2. After that its place is free, and only its thread remains.
FORGIVEN_SECONDS = 30.0
# Threads of a pool, including those that hang for good.
MAX_THREADS = 160


class NoPlace(TimeoutError):
    """No look-up could start in time. `own_fault`: because the owner's earlier ones are slow."""

    def __init__(self, own_fault: bool) -> None:
        super().__init__("no place for another look-up")
        self.own_fault = own_fault


@dataclass(slots=True, eq=False)
class _Lookup:
    owner: str
    left_behind_at: float | None = None
    holds_place: bool = True


class Lookups:
    """One pool. Look-ups of other pools never wait for those of this one."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._places = FairPlaces(PLACES, PER_OWNER)
        self._running: set[_Lookup] = set()
        self._guard = threading.Lock()

    def run(self, look_up: Callable[[], list[str]], owner: str, *, wait: float, seconds: float) -> list[str]:
        """Return or raise what `look_up` does, within `seconds`, of which up to `wait` for a place.

        Raises NoPlace if none is free, TimeoutError if the look-up takes longer.
        """
        deadline = time.monotonic() + seconds
        lookup = self._begin(owner, min(wait, seconds))
        outcome: Future[list[str]] = Future()
        try:
            work = partial(self._work, lookup, look_up, outcome)
            threading.Thread(target=work, name=f"lookup-{self.name}", daemon=True).start()
        except RuntimeError as error:
            # No thread could be started.
            self._end(lookup)
            raise NoPlace(own_fault=False) from error
        try:
            return outcome.result(timeout=max(0.0, deadline - time.monotonic()))
        except TimeoutError:
            lookup.left_behind_at = time.monotonic()
            raise

    def _begin(self, owner: str, wait: float) -> _Lookup:
        self._forgive()
        if len(self._running) >= MAX_THREADS:
            raise NoPlace(own_fault=False)
        if not self._places.take(owner, wait):
            raise NoPlace(own_fault=self._places.is_full_of(owner))
        lookup = _Lookup(owner)
        with self._guard:
            self._running.add(lookup)
        return lookup

    def _work(self, lookup: _Lookup, look_up: Callable[[], list[str]], outcome: "Future[list[str]]") -> None:
        try:
            outcome.set_result(look_up())
        except BaseException as error:
            outcome.set_exception(error)
        finally:
            self._end(lookup)

    def _end(self, lookup: _Lookup) -> None:
        with self._guard:
            self._running.discard(lookup)
        self._free(lookup)

    def _free(self, lookup: _Lookup) -> None:
        with self._guard:
            held, lookup.holds_place = lookup.holds_place, False
        if held:
            self._places.leave(lookup.owner)

    def _forgive(self) -> None:
        """Free the places of look-ups that were abandoned long ago: one that hangs for good must not count forever."""
        limit = time.monotonic() - FORGIVEN_SECONDS
        with self._guard:
            overdue = [one for one in self._running if one.left_behind_at is not None and one.left_behind_at <= limit]
        for lookup in overdue:
            self._free(lookup)


@dataclass(frozen=True, slots=True)
class Asker:
    """Who looks a name up: the pool, the owner whose places count, and how long to wait for one of them, in seconds."""

    lookups: Lookups
    owner: str = ""
    wait: float = 5.0

    def run(self, look_up: Callable[[str, int], list[str]], host: str, port: int, seconds: float) -> list[str]:
        """See Lookups.run."""
        return self.lookups.run(partial(look_up, host, port), self.owner, wait=self.wait, seconds=seconds)


IMAGES = Lookups("images")
CALLBACKS = Lookups("callbacks")
# For look-ups that are not on a customer's behalf.
OURS = Asker(Lookups("ours"))
