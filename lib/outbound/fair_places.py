"""A bounded number of places in one process, shared so that no owner can take all of them."""

import threading
import time
from collections import Counter

# Prefix of owners without an account, see rate_limits.anonymous_policy: anyone can have many addresses.
ANONYMOUS = "address:"


class FairPlaces:
    """`total` places. An owner gets at most `per_owner` of them, and all anonymous owners together at most half.

    A quarter is reserved for owners who have none, so that a newcomer finds a place even if a few others have many.
    """

    def __init__(self, total: int, per_owner: int) -> None:
        self.total, self.per_owner = total, per_owner
        self._held: Counter[str] = Counter()
        self._changed = threading.Condition()

    def take(self, owner: str, seconds: float) -> bool:
        """Take a place, waiting up to `seconds` for one. False if there was none."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while not self._has_room(owner):
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                self._changed.wait(left)
            self._held[owner] += 1
            return True

    def leave(self, owner: str) -> None:
        """Give a place back."""
        with self._changed:
            self._held[owner] -= 1
            if not self._held[owner]:
                del self._held[owner]
            self._changed.notify_all()

    def is_full_of(self, owner: str) -> bool:
        """Whether the owner has as many places as one may have."""
        with self._changed:
            return self._held[owner] >= self.per_owner

    def _has_room(self, owner: str) -> bool:
        held = self._held.total()
        own = self._held[owner]
        if own >= self.per_owner or held >= self.total - (self.total // 4 if own else 0):
            return False
        if not owner.startswith(ANONYMOUS):
            return True
        anonymous = sum(count for other, count in self._held.items() if other.startswith(ANONYMOUS))
        return anonymous < max(1, self.total // 2)
