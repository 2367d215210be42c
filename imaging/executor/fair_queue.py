"""Decides which image is next for the gate, without threads and without a clock.

Every method takes the time as an argument: the gate passes the machine's clock, tests and the simulation
(`tests/bench/simulate_gate.py`) their own. Five rules:

1. Customers (keys and user tokens) come before anonymous callers, and both before images of batches. Past PROMOTE_SECONDS
   without an image of a lower rank, its next one is promoted and goes first. At most one promoted image waits or is in work,
   and the next one is promoted PROMOTE_SECONDS after its end: lower ranks always move, and cost customers one slot at most.
2. Within a rank, the caller with the least usage is next (fair queuing). Usage is the time that a caller's images hold their
   share of slots or megapixels, whichever is larger, measured and not estimated: an image that looks small and takes a
   minute counts a minute. The excess usage of a caller who waits with no image in work is gradually forgiven.
3. An image that does not fit now lets others pass for PASS_SECONDS. Then its place is reserved (backfilling, as in batch
   schedulers): an image passes if both fit together, or if it is small while a large one still runs that the reserved one
   must wait for anyway. So small images continue, and the gate drains for a few seconds at most.
4. Large images of one customer (of all anonymous callers together; of all batches together) leave one slot and some
   megapixels free. Small images may take all idle capacity: they finish quickly, and then rule 2 decides. So may large
   images of a customer who has been the only one for REMEMBER_SECONDS.
5. The queue's places are shared. Anonymous callers may hold at most half of them, and can always have an eighth. When it is
   full, the newest place of a caller who holds more than half goes to the next one; then those of anonymous callers, down
   to the eighth, to customers; then the newest of the caller with the most to one who has fewer.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from itertools import chain, takewhile

# Rule 3: how long others may pass an image that does not fit. The time of a few small images.
PASS_SECONDS = 5.0
# Rule 1: the longest time without an image of a lower rank while customers take every slot.
PROMOTE_SECONDS = 10.0
# Rules 3 and 4: images beyond this are large. On two cores one of 24 takes 3 to 4 s, one of 100 takes 14 s.
LARGE_MEGAPIXELS = 25.0
# Rule 2: a caller's usage is forgotten after this long without a request. Usage beyond that of others counts up to
# MOST_AHEAD seconds of the whole gate, and each second that the caller waits with no image in work takes off FORGIVENESS of
# it: at worst it waits as if it had arrived 30 s later.
REMEMBER_SECONDS = 60.0
MOST_AHEAD = 3.0
FORGIVENESS = 0.1


class Rank(IntEnum):
    """Callers by priority, the highest first."""

    CUSTOMER = 0
    ANONYMOUS = 1
    BATCH = 2


@dataclass(frozen=True, slots=True)
class Requester:
    """The caller that requests a place: the subject of its rate limits, and its rank."""

    name: str
    rank: Rank = Rank.CUSTOMER


SOMEONE = Requester("")


class State(Enum):
    """The state of a request for a place."""

    WAITING = "waiting"
    ADMITTED = "admitted"
    REFUSED = "refused"
    GONE = "gone"


@dataclass(eq=False, slots=True)
class _Line:
    """One caller's images: those that wait, in order of arrival, and its usage, in seconds of the whole gate."""

    requester: Requester
    waiting: list["Ticket"] = field(default_factory=list)
    running: int = 0
    had: float = 0.0
    # For those in work: the sum of their shares, and of share times start.
    rate: float = 0.0
    offset: float = 0.0
    # When the latest image ended.
    served_at: float = float("-inf")
    idle_since: float = 0.0

    def usage(self, now: float) -> float:
        """The usage so far, including images in work."""
        return self.had + self.rate * now - self.offset


@dataclass(eq=False, slots=True)
class Ticket:
    """One image's request for a place. `weight` is its megapixels as the budget counts them."""

    line: _Line
    number: int
    arrived: float
    megapixels: float
    weight: float
    state: State = State.WAITING
    admitted_at: float = 0.0
    share: float = 0.0
    # When another image first passed it because it did not fit.
    passed_at: float | None = None
    # Admitted after the reservation that is in force: it fits next to the reserved image.
    is_beside: bool = False

    @property
    def rank(self) -> Rank:
        return self.line.requester.rank

    @property
    def is_large(self) -> bool:
        return self.megapixels > LARGE_MEGAPIXELS

    @property
    def group(self) -> Requester | Rank:
        """The group whose large images together leave a slot free: one customer, or a whole lower rank."""
        return self.line.requester if self.rank is Rank.CUSTOMER else self.rank


class FairQueue:
    """Bounds images in work to `slots` and `megapixels`, waiting ones to `queue_size`, and decides who is next.

    An image that weighs more than `megapixels` counts as `megapixels` and so runs alone. Images of batches take no place in
    the queue: their callers bound them. `large_slots` are the slots that one caller's large images may hold, by default all
    but one. `notify` is called with each ticket whose state another caller's call has changed. Not thread-safe.
    """

    def __init__(
        self,
        *,
        slots: int,
        megapixels: float,
        queue_size: int,
        large_slots: int | None = None,
        notify: Callable[[Ticket], None] = lambda ticket: None,
    ) -> None:
        self.megapixels = megapixels
        self.slots, self.queue_size, self.large_slots = slots, queue_size, _large_slots(slots, large_slots)
        self.running: set[Ticket] = set()
        self.weight = 0.0
        # Images with a place in the queue, by rank; and those of batches, which need none.
        self.waiting_by_rank = dict.fromkeys(Rank, 0)
        self._notify = notify
        self._number = 0
        # Callers with an image in work or waiting; and callers who recently had one, the most recent last.
        self._lines: dict[Requester, _Line] = {}
        self._idle: dict[Requester, _Line] = {}
        self._floor = dict.fromkeys(Rank, 0.0)
        # When each rank last got a place, or began to wait for one.
        self._served_at = dict.fromkeys(Rank, 0.0)
        self._reserved: Ticket | None = None
        self._promoted: Ticket | None = None
        self._promotion_ended = float("-inf")

    @property
    def waiting(self) -> int:
        """Images in the queue."""
        return self.waiting_by_rank[Rank.CUSTOMER] + self.waiting_by_rank[Rank.ANONYMOUS]

    def arrive(self, requester: Requester, megapixels: float, now: float) -> Ticket:
        """Ask for a place. The ticket is admitted, waits, or is refused because the queue has no place."""
        self._forget_idle(now)
        line = self._activate(requester, now)
        self._number += 1
        ticket = Ticket(line, self._number, now, megapixels, min(megapixels, self.megapixels))
        if not any(self.waiting_by_rank.values()):
            self._served_at = dict.fromkeys(Rank, now)
            if self._fits(ticket):
                self._admit(ticket, now)
                return ticket
        elif not self.waiting_by_rank[ticket.rank]:
            self._served_at[ticket.rank] = now
        line.waiting.append(ticket)
        self.waiting_by_rank[ticket.rank] += 1
        self._fill(now, arriving=ticket)
        if ticket.state is State.WAITING and (victim := self._find_victim(ticket)):
            self._drop(victim, State.REFUSED, now)
            if victim is not ticket:
                self._notify(victim)
        return ticket

    def leave(self, ticket: Ticket, now: float) -> None:
        """The image is done: its place goes to the next."""
        self.running.remove(ticket)
        self._weigh()
        line = ticket.line
        line.had += ticket.share * (now - ticket.admitted_at)
        line.running -= 1
        line.served_at = now
        line.rate -= ticket.share
        line.offset -= ticket.share * ticket.admitted_at
        if not line.running:
            line.rate = line.offset = 0.0
        if ticket is self._promoted:
            self._promoted, self._promotion_ended = None, now
        self._rest(line, now)
        self._fill(now)

    def cancel(self, ticket: Ticket, now: float) -> None:
        """The caller no longer waits. An admitted ticket must `leave`."""
        if ticket.state is State.WAITING:
            self._drop(ticket, State.GONE, now)
            self._fill(now)

    def resize(self, *, slots: int, queue_size: int, large_slots: int, now: float) -> None:
        """Change the bounds. Images already in work or waiting beyond the new bounds stay."""
        self.slots, self.queue_size, self.large_slots = slots, queue_size, _large_slots(slots, large_slots)
        self._fill(now)

    # --- what fits ---

    def _fits(self, ticket: Ticket) -> bool:
        if len(self.running) >= self.slots:
            return False
        return not self.running or (self.weight + ticket.weight <= self.megapixels and self._leaves_room(ticket))

    def _leaves_room(self, ticket: Ticket) -> bool:
        """Rule 4."""
        if not ticket.is_large:
            return True
        own = [other for other in self.running if other.is_large and other.group == ticket.group]
        if not own or (ticket.rank is Rank.CUSTOMER and self._is_alone(ticket.line)):
            return True
        weight = sum(other.weight for other in own) + ticket.weight
        return len(own) < self.large_slots and weight <= self.megapixels - LARGE_MEGAPIXELS

    def _is_alone(self, customer: _Line) -> bool:
        """Whether this was the only customer in the last minute."""
        lines = chain(self._lines.values(), self._idle.values())
        return all(line is customer or line.requester.rank is not Rank.CUSTOMER for line in lines)

    def _may_pass(self, ticket: Ticket) -> bool:
        """Rule 3: whether an image that fits may pass the reserved one."""
        reserved = self._reserved
        if reserved is None or ticket is reserved or ticket is self._promoted:
            return True
        if ticket.rank < reserved.rank and reserved is not self._promoted:
            return True
        beside = [other for other in self.running if other.is_beside]
        weight = sum(other.weight for other in beside) + ticket.weight + reserved.weight
        crowds = ticket.is_large and ticket.group == reserved.group
        if len(beside) + 2 <= self.slots and weight <= self.megapixels and not crowds:
            return True
        return not ticket.is_large and any(other.is_large and not other.is_beside for other in self.running)

    # --- who is next ---

    def _fill(self, now: float, arriving: Ticket | None = None) -> None:
        while len(self.running) < self.slots and (ticket := self._find_next(now)):
            self._remove(ticket)
            self._admit(ticket, now)
            if ticket is not arriving:
                self._notify(ticket)

    def _find_next(self, now: float) -> Ticket | None:
        if not any(self.waiting_by_rank.values()):
            return None
        self._promote(now)
        all_fit = True
        for ticket in self._in_order(now):
            fits = self._fits(ticket)
            if all_fit and not fits:
                all_fit = False
                self._note_passed(ticket, now)
            if fits and self._may_pass(ticket):
                return ticket
        return None

    def _in_order(self, now: float) -> Iterator[Ticket]:
        first = [ticket for ticket in (self._promoted,) if ticket and ticket.state is State.WAITING]
        yield from first
        for rank in Rank:
            if not self.waiting_by_rank[rank]:
                continue
            if self._reserved and self._reserved.rank is rank and self._reserved not in first:
                yield self._reserved
            for line in self._fair_order(rank, now):
                yield from (ticket for ticket in line.waiting if ticket not in first and ticket is not self._reserved)

    def _fair_order(self, rank: Rank, now: float) -> list[_Line]:
        """Rule 2."""
        floor = self._floor[rank]

        def key(line: _Line) -> tuple[float, int]:
            first = line.waiting[0]
            waited = 0.0 if line.running else now - max(first.arrived, line.served_at)
            return min(line.usage(now) - floor, MOST_AHEAD) - FORGIVENESS * waited, first.number

        return sorted((line for line in self._lines.values() if line.requester.rank is rank and line.waiting), key=key)

    def _promote(self, now: float) -> None:
        """Rule 1."""
        if self._promoted or now < self._promotion_ended + PROMOTE_SECONDS:
            return
        late = [
            rank
            for rank in (Rank.ANONYMOUS, Rank.BATCH)
            if self.waiting_by_rank[rank] and now >= self._served_at[rank] + PROMOTE_SECONDS
        ]
        if late:
            rank = min(late, key=self._served_at.__getitem__)
            self._promoted = self._fair_order(rank, now)[0].waiting[0]

    def _note_passed(self, ticket: Ticket, now: float) -> None:
        """The ticket is first in order but does not fit: reserve its place once it has been passed for PASS_SECONDS."""
        if ticket.passed_at is None:
            ticket.passed_at = now
        reserved = self._reserved
        outranks = reserved is None or ticket is self._promoted or ticket.rank < reserved.rank
        # A reservation for an image blocked by its own caller's images would only block others.
        if ticket is not reserved and outranks and now >= ticket.passed_at + PASS_SECONDS and self._leaves_room(ticket):
            self._reserved = ticket
            for other in self.running:
                other.is_beside = False

    # --- bookkeeping ---

    def _admit(self, ticket: Ticket, now: float) -> None:
        ticket.state, ticket.admitted_at = State.ADMITTED, now
        ticket.share = max(1 / self.slots, ticket.weight / self.megapixels)
        ticket.is_beside = self._reserved is not None
        self.running.add(ticket)
        self._weigh()
        self._served_at[ticket.rank] = now
        line = ticket.line
        line.running += 1
        line.rate += ticket.share
        line.offset += ticket.share * now

    def _weigh(self) -> None:
        # Summed each time: a running total of floats would drift.
        self.weight = math.fsum(ticket.weight for ticket in self.running)

    def _drop(self, ticket: Ticket, state: State, now: float) -> None:
        self._remove(ticket)
        ticket.state = state
        if ticket is self._promoted:
            self._promoted = None
        self._rest(ticket.line, now)

    def _remove(self, ticket: Ticket) -> None:
        ticket.line.waiting.remove(ticket)
        self.waiting_by_rank[ticket.rank] -= 1
        if ticket is self._reserved:
            self._reserved = None

    def _activate(self, requester: Requester, now: float) -> _Line:
        """The caller's line. On return its usage is at least that of the others of its rank: idling saves up nothing."""
        if line := self._lines.get(requester):
            return line
        rank = requester.rank
        active = [line.usage(now) for line in self._lines.values() if line.requester.rank is rank]
        if active:
            self._floor[rank] = max(self._floor[rank], min(active))
        line = self._idle.pop(requester) if requester in self._idle else _Line(requester)
        line.had = max(line.had, self._floor[rank])
        self._lines[requester] = line
        return line

    def _rest(self, line: _Line, now: float) -> None:
        if line.waiting or line.running:
            return
        del self._lines[line.requester]
        if line.had:
            line.idle_since = now
            self._idle[line.requester] = line

    def _forget_idle(self, now: float) -> None:
        old = takewhile(lambda line: line.idle_since + REMEMBER_SECONDS <= now, self._idle.values())
        for line in list(old):
            del self._idle[line.requester]

    # --- the queue's places ---

    def _find_victim(self, ticket: Ticket) -> Ticket | None:
        """Rule 5: the ticket that gives way to `ticket`, which already waits: another, or itself; None if there is room."""
        if ticket.rank is Rank.BATCH:
            return None
        half, eighth = max(1, self.queue_size // 2), self.queue_size // 8
        is_customer, anonymous = ticket.rank is Rank.CUSTOMER, self.waiting_by_rank[Rank.ANONYMOUS]
        if is_customer or anonymous <= half:
            if self.waiting <= self.queue_size:
                return None
            longest = self._longest(Rank.CUSTOMER, Rank.ANONYMOUS)
            if len(longest.waiting) > half:
                return longest.waiting[-1]
            if is_customer and anonymous > eighth:
                return self._longest(Rank.ANONYMOUS).waiting[-1]
            if not is_customer and anonymous <= eighth:
                return self._longest(Rank.CUSTOMER).waiting[-1]
        longest = self._longest(ticket.rank)
        return longest.waiting[-1] if len(longest.waiting) > len(ticket.line.waiting) else ticket

    def _longest(self, *ranks: Rank) -> _Line:
        """The line with the most waiting images. At least one must exist."""
        lines = (line for line in self._lines.values() if line.requester.rank in ranks)
        return max(lines, key=lambda line: len(line.waiting))


def _large_slots(slots: int, large_slots: int | None) -> int:
    return max(1, slots - 1 if large_slots is None else min(large_slots, slots))
