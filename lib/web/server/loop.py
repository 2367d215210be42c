"""The I/O loop of one process: waits for all of its sockets, and asks only those whose interest may have changed.

waitress's own loop asks every connection on every turn what it waits for. With 450 slow connections that took half a core.
"""

import select
import selectors
from typing import Any

from waitress import wasyncore


class Loop(dict[int, Any]):
    """waitress's map of open sockets by file number, and the loop over them. All of it belongs to one thread.

    A socket is asked for its interest when it is new, after each of its events, on every turn while it `is_busy` (other
    threads work on it), and after `ask_all`.
    """

    def __init__(self) -> None:
        super().__init__()
        self._selector = selectors.DefaultSelector()
        self._to_ask: set[int] = set()
        self._interests: dict[int, int] = {}

    def __setitem__(self, number: int, one: Any) -> None:
        super().__setitem__(number, one)
        self._to_ask.add(number)

    def __delitem__(self, number: int) -> None:
        # Before the socket is closed, since the next one may get its number.
        self._set_interest(number, 0)
        super().__delitem__(number)

    def ask_all(self) -> None:
        """Ask all sockets at the next turn."""
        self._to_ask.update(self)

    def turn(self, seconds: float) -> None:
        """Wait for events, at most `seconds`, and handle them."""
        asked, self._to_ask = self._to_ask, set()
        for number in asked:
            self._ask(number)
        for key, events in self._selector.select(seconds):
            one = self.get(key.fd)
            # An earlier event of this turn may have closed it, and opened another with the same number.
            if one is key.data:
                self._to_ask.add(key.fd)
                wasyncore.readwrite(one, _poll_flags(events))

    def close(self) -> None:
        """Close the selector's own file descriptor."""
        self._selector.close()

    def _ask(self, number: int) -> None:
        one = self.get(number)
        if one is None:
            return
        # A listening socket must not be asked whether it is writable.
        interest = selectors.EVENT_READ if one.readable() else 0
        if not one.accepting and one.writable():
            interest |= selectors.EVENT_WRITE
        self._set_interest(number, interest)
        if getattr(one, "is_busy", False):
            self._to_ask.add(number)

    def _set_interest(self, number: int, interest: int) -> None:
        known = self._interests.get(number, 0)
        if interest == known:
            return
        if not interest:
            self._selector.unregister(number)
            del self._interests[number]
            return
        if known:
            self._selector.modify(number, interest, self[number])
        else:
            self._selector.register(number, interest, self[number])
        self._interests[number] = interest


def _poll_flags(events: int) -> int:
    """The flags of poll() for `events`, which include errors and hang-ups: a read or write runs into those."""
    reading = select.POLLIN if events & selectors.EVENT_READ else 0
    return reading | (select.POLLOUT if events & selectors.EVENT_WRITE else 0)
