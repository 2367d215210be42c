"""Calls with invalid keys and tokens, by address: past FAILED_CALLS_PER_MINUTE they are refused without a database query.

Keys that worked here recently keep working from such an address: a customer's forgotten job, or a neighbour behind the same
router, must not lock out a valid key.
"""

import threading
import time
from collections import OrderedDict

from django.conf import settings
from django.http import HttpRequest

from lib.web import rate_limits
from lib.web.client_address import client_address

# Addresses and keys remembered per process; past it, the least recently used are evicted.
CAPACITY = 10_000
GOOD_SECONDS = 15 * 60


class TooManyFailedCalls(Exception):
    """Calls from the address have failed too often: it is refused for another `seconds_left`, at least 1."""

    def __init__(self, seconds_left: int) -> None:
        super().__init__(seconds_left)
        self.seconds_left = seconds_left


class _Until:
    """Names, each with an expiry time on the monotonic clock. Thread-safe."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._ends: OrderedDict[str, float] = OrderedDict()

    def add(self, name: str, seconds: float) -> None:
        """Remember the name for `seconds`."""
        with self._guard:
            self._ends[name] = time.monotonic() + seconds
            self._ends.move_to_end(name)
            if len(self._ends) > CAPACITY:
                self._ends.popitem(last=False)

    def seconds_left(self, name: str) -> float:
        """How long the name will still be remembered; 0 if it is not."""
        return max(0.0, self._ends.get(name, 0.0) - time.monotonic())

    def clear(self) -> None:
        """Forget all."""
        with self._guard:
            self._ends.clear()


_refused = _Until()
_good = _Until()


def check(request: HttpRequest, lookup: str = "") -> None:
    """Raise TooManyFailedCalls for an address that has failed too often, unless the key worked recently."""
    left = _refused.seconds_left(client_address(request))
    if left and settings.RATE_LIMIT_ENABLED and not (lookup and _good.seconds_left(lookup)):
        raise TooManyFailedCalls(max(1, round(left)))


def note_failure(request: HttpRequest) -> None:
    """Count one invalid key or token. The one that exceeds the limit is the last to be answered 401 for a while."""
    address = client_address(request)
    wait = rate_limits.count_widely(f"failed:{address}", settings.FAILED_CALLS_PER_MINUTE)
    if wait:
        _refused.add(address, wait)


def note_success(lookup: str) -> None:
    """Note that this key works, at most about once a minute: more precision is not worth a lock on each call."""
    if _good.seconds_left(lookup) < GOOD_SECONDS - 60:
        _good.add(lookup, GOOD_SECONDS)


def forget() -> None:
    """Forget every address and key."""
    _refused.clear()
    _good.clear()
