"""All connections of this process: bounded in total and per address."""

import logging
import time
from typing import TYPE_CHECKING

from lib.web.server.figures import REFUSED

if TYPE_CHECKING:
    from lib.web.server.channel import Channel

logger = logging.getLogger(__name__)


class Connections:
    """Keeps the number of connections within bounds.

    A newcomer is let in, and the slowest connection is closed, idle ones first. One whose request is being processed stays.
    So callers from an address that slow clients fill are still served.
    """

    def __init__(self, limit: int, per_address: int) -> None:
        self.limit, self.per_address = limit, per_address
        self.is_stopping = False
        self.channels: set[Channel] = set()
        self._by_address: dict[str, set[Channel]] = {}

    def enter(self, channel: "Channel") -> None:
        """Accept a new connection; refuse it if no other can be closed."""
        self.channels.add(channel)
        self._by_address.setdefault(channel.address, set()).add(channel)
        if not self.make_room_for(channel):
            REFUSED.labels("crowded").inc()
            channel.refuse_at_once()

    def leave(self, channel: "Channel") -> None:
        """The connection has closed."""
        self.channels.discard(channel)
        self._forget_address(channel)

    def move(self, channel: "Channel", address: str) -> None:
        """Count the connection against `address` from now on."""
        if address != channel.address and channel in self.channels:
            self._forget_address(channel)
            self._by_address.setdefault(address, set()).add(channel)
        channel.address = address

    def _forget_address(self, channel: "Channel") -> None:
        same = self._by_address.get(channel.address, set())
        same.discard(channel)
        if not same:
            self._by_address.pop(channel.address, None)

    def make_room_for(self, channel: "Channel") -> bool:
        """Close the slowest other connections. Returns whether the bounds hold with this one."""
        if channel.address:
            same = self._by_address.get(channel.address, set())
            if len(same) > self.per_address and not self._cut_slowest(same, channel):
                return False
        return len(self.channels) <= self.limit or self.cut_one(channel)

    def cut_one(self, spared: "Channel | None" = None) -> bool:
        """Close the slowest connection of the address that has most. False if all of them are busy."""
        crowds = sorted(self._by_address.values(), key=len, reverse=True)
        return any(self._cut_slowest(crowd, spared) for crowd in crowds)

    def _cut_slowest(self, candidates: "set[Channel]", spared: "Channel | None") -> bool:
        now = time.monotonic()
        # Watching a connection may move it to another address.
        for one in list(candidates):
            one.watch(now)
        idle = [one for one in candidates if one.is_idle and one is not spared]
        slow = idle or [one for one in candidates if one.may_be_cut and one is not spared]
        if not slow:
            return False
        REFUSED.labels("crowded").inc()
        min(slow, key=lambda one: (one.rate(now), one.since)).handle_close()
        return True

    def tick(self, now: float) -> None:
        """Close connections whose time is up. Called about once a second."""
        for channel in list(self.channels):
            try:
                channel.tick(now)
            except Exception:
                # One connection must not end the loop of all.
                logger.exception("a connection could not be checked")
                channel.handle_close()
