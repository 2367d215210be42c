"""Whose image is next, on the test's clock."""

import heapq
from dataclasses import dataclass, field
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imaging.executor.fair_queue import (
    LARGE_MEGAPIXELS,
    PASS_SECONDS,
    PROMOTE_SECONDS,
    FairQueue,
    Rank,
    Requester,
    State,
    Ticket,
)
from tests.examples import examples

KEY, OTHER = Requester("key"), Requester("other")
VISITOR, VISITOR_2 = Requester("visitor", Rank.ANONYMOUS), Requester("visitor-2", Rank.ANONYMOUS)
BATCH = Requester("batch", Rank.BATCH)


def make(*, slots: int = 2, megapixels: float = 150, queue_size: int = 32) -> FairQueue:
    return FairQueue(slots=slots, megapixels=megapixels, queue_size=queue_size)


def admitted(*tickets: Ticket) -> list[bool]:
    return [ticket.state is State.ADMITTED for ticket in tickets]


def states(*tickets: Ticket) -> list[str]:
    return [ticket.state.value for ticket in tickets]


def test_a_small_image_passes_a_large_one_that_does_not_fit():
    queue = make()
    first, second = queue.arrive(VISITOR, 100, 0), queue.arrive(VISITOR, 100, 1)
    small = queue.arrive(KEY, 0.004, 2)
    assert admitted(first, second, small) == [True, False, True]


def test_small_images_go_on_for_as_long_as_a_large_one_keeps_another_one_waiting():
    """Neither is delayed: the waiting one's place is reserved, and small ones fit next to it."""
    queue = make()
    running, waiting = queue.arrive(KEY, 100, 0), queue.arrive(OTHER, 100, 0)
    for second in range(100):
        small = queue.arrive(OTHER, 1, second)
        assert small.state is State.ADMITTED, second
        queue.leave(small, second + 0.9)
    queue.leave(running, 100)
    assert waiting.state is State.ADMITTED


@pytest.mark.parametrize("megapixels", [100, 150, 400])
def test_a_stream_of_small_images_does_not_starve_a_large_one(megapixels):
    """Two small ones are always running, and more wait; each takes a second."""
    queue = make(slots=2, queue_size=10)
    inside = [queue.arrive(KEY, 60, 0), queue.arrive(OTHER, 60, 0.5)]
    large = queue.arrive(Requester("large"), megapixels, 0.6)
    second = 0.6
    while large.state is State.WAITING:
        second += 0.5
        for other in (KEY, OTHER):
            ticket = queue.arrive(other, 1, second)
            if ticket.state is State.ADMITTED:
                inside.append(ticket)
            elif ticket.state is State.WAITING:
                queue.cancel(ticket, second)
        if inside:
            queue.leave(inside.pop(0), second)
    assert second <= PASS_SECONDS + 2


def test_an_image_that_runs_alone_stops_others_only_while_small_ones_end():
    """A long one is running: small ones need not wait for it, since the reserved one has to anyway."""
    queue = make(slots=3)
    bomb, alone = queue.arrive(KEY, 100, 0), queue.arrive(OTHER, 400, 0)
    smalls = [queue.arrive(KEY, 1, second) for second in (0.0, PASS_SECONDS)]
    queue.leave(smalls[0], PASS_SECONDS + 1)
    smalls.append(queue.arrive(KEY, 1, PASS_SECONDS + 2))
    assert admitted(alone, *smalls) == [False, True, True, True]
    queue.leave(bomb, 60)
    late = queue.arrive(KEY, 1, 60.1)
    assert admitted(alone, late) == [False, False]
    for small in smalls[1:]:
        queue.leave(small, 61)
    assert admitted(alone, late) == [True, False]


def test_callers_take_turns():
    queue = make(slots=1)
    running = queue.arrive(KEY, 1, 0)
    mine = [queue.arrive(KEY, 1, 0.1) for _ in range(5)]
    theirs = [queue.arrive(OTHER, 1, 0.2) for _ in range(2)]
    order = []
    for second in range(1, 8):
        queue.leave(running, second)
        running = next(ticket for ticket in [*mine, *theirs] if ticket.state is State.ADMITTED and ticket not in order)
        order.append(running)
    assert [ticket.line.requester.name for ticket in order] == ["other", "key", "other", *["key"] * 4]


def test_an_image_that_takes_long_counts_for_what_it_takes():
    queue = make(slots=1)
    bomb = queue.arrive(KEY, 1, 0)
    queue.arrive(OTHER, 1, 1)
    second = queue.arrive(KEY, 1, 2)
    queue.leave(bomb, 100)
    others = [queue.arrive(OTHER, 1, 100.5) for _ in range(2)]
    now = 101.0
    while not all(admitted(*others)):
        assert second.state is State.WAITING
        queue.leave(next(iter(queue.running)), now)
        now += 1


def test_a_caller_who_had_much_is_forgiven():
    """Others who have had nothing arrive one after the other, and more than fit."""
    queue = make(slots=1)
    queue.leave(queue.arrive(KEY, 1, 0), 100)
    mine = None
    for second in range(100, 200):
        for ticket in list(queue.running):
            queue.leave(ticket, second)
        for number in range(2):
            queue.arrive(Requester(f"new-{second}-{number}"), 1, second)
        mine = mine or queue.arrive(KEY, 1, second)
        if mine.state is State.ADMITTED:
            break
    # 30 s after its arrival, behind a queue of 32.
    assert second <= 165


def test_customers_come_before_anonymous_callers_and_those_before_batches():
    queue = make(slots=1)
    running = queue.arrive(OTHER, 1, 0)
    tickets = [queue.arrive(requester, 1, 1) for requester in (BATCH, VISITOR, KEY)]
    for second, expected in ((2, [False, False, True]), (3, [False, True, True]), (4, [True, True, True])):
        queue.leave(running, second)
        assert admitted(*tickets) == expected
        (running,) = queue.running


def test_lower_ranks_move_while_customers_take_everything():
    """One image in PROMOTE_SECONDS, and never more than one at a time: customers keep the other slots."""
    queue = make(slots=2)
    second, since, served = 0.0, dict.fromkeys(Rank, 0.0), dict.fromkeys(Rank, 0)
    waits = dict.fromkeys(Rank, 0.0)
    for number in range(4):
        queue.arrive(Requester(str(number)), 1, 0)
    lower = {rank: queue.arrive(Requester("low", rank), 1, 0) for rank in (Rank.ANONYMOUS, Rank.BATCH)}
    while second < 300:
        second += 1
        ticket = min(queue.running, key=lambda ticket: ticket.admitted_at)
        queue.leave(ticket, second)
        assert sum(ticket.rank is not Rank.CUSTOMER for ticket in queue.running) <= 1
        if ticket.rank is Rank.CUSTOMER:
            queue.arrive(ticket.line.requester, 1, second)
        for rank, ticket in lower.items():
            if ticket.state is State.ADMITTED:
                served[rank] += 1
                waits[rank] = max(waits[rank], second - since[rank])
                since[rank], lower[rank] = second, queue.arrive(Requester("low", rank), 1, second)
    assert served[Rank.ANONYMOUS] >= 10
    assert served[Rank.BATCH] >= 10
    assert max(waits.values()) <= 3 * PROMOTE_SECONDS
    assert sum(served.values()) <= 300 / PROMOTE_SECONDS


def test_large_images_of_one_customer_leave_a_slot_to_others():
    queue = make(slots=3, megapixels=1000)
    queue.leave(queue.arrive(OTHER, 1, 0), 1)
    tickets = [queue.arrive(KEY, 30, 2) for _ in range(3)]
    assert admitted(*tickets) == [True, True, False]
    assert queue.arrive(OTHER, 30, 3).state is State.ADMITTED


def test_a_customer_who_is_alone_takes_what_is_idle():
    queue = make(slots=3, megapixels=1000)
    assert admitted(*(queue.arrive(KEY, 30, 2) for _ in range(3))) == [True] * 3


def test_large_images_of_all_anonymous_callers_leave_a_slot_and_megapixels():
    queue = make(slots=8)
    tickets = [queue.arrive(Requester(str(number), Rank.ANONYMOUS), 30, 0) for number in range(8)]
    assert sum(admitted(*tickets)) == 4
    assert queue.arrive(KEY, LARGE_MEGAPIXELS, 0).state is State.ADMITTED


def test_small_images_of_one_caller_take_every_slot():
    queue = make(slots=3)
    assert admitted(*(queue.arrive(KEY, 24, 0) for _ in range(3))) == [True] * 3


def test_one_caller_fills_the_queue_and_gives_its_newest_places_to_others():
    queue = make(slots=1, queue_size=8)
    mine = [queue.arrive(KEY, 1, 0) for _ in range(10)]
    assert states(*mine) == ["admitted", *["waiting"] * 8, "refused"]
    theirs = [queue.arrive(OTHER, 1, 1) for _ in range(5)]
    assert states(*theirs) == [*["waiting"] * 4, "refused"]
    assert states(*mine[1:9]) == [*["waiting"] * 4, *["refused"] * 4]


def test_anonymous_callers_wait_in_half_of_the_queue_and_make_room_for_customers():
    queue = make(slots=1, queue_size=16)
    queue.arrive(KEY, 1, 0)
    visitors = [queue.arrive(Requester(str(number), Rank.ANONYMOUS), 1, 1) for number in range(9)]
    assert states(*visitors) == [*["waiting"] * 8, "refused"]
    customers = [queue.arrive(Requester(str(number)), 1, 2) for number in range(16)]
    # An eighth stays theirs.
    assert states(*customers) == [*["waiting"] * 14, *["refused"] * 2]
    assert sum(ticket.state is State.WAITING for ticket in visitors) == 2


def test_an_anonymous_caller_finds_a_place_in_a_queue_full_of_customers():
    queue = make(slots=1, queue_size=16)
    customers = [queue.arrive(Requester(str(number % 4)), 1, 0) for number in range(17)]
    visitors = [queue.arrive(Requester(str(number), Rank.ANONYMOUS), 1, 1) for number in range(3)]
    assert states(*visitors) == ["waiting", "waiting", "refused"]
    assert sum(ticket.state is State.REFUSED for ticket in customers) == 2


def test_of_two_addresses_the_one_with_more_gives_way():
    queue = make(slots=1, queue_size=8)
    queue.arrive(KEY, 1, 0)
    many = [queue.arrive(VISITOR, 1, 0) for _ in range(5)]
    assert states(*many) == [*["waiting"] * 4, "refused"]
    assert queue.arrive(VISITOR_2, 1, 0).state is State.WAITING
    assert states(*many) == [*["waiting"] * 3, *["refused"] * 2]


def test_images_of_batches_take_no_place_in_the_queue():
    queue = make(slots=1, queue_size=0)
    queue.arrive(KEY, 1, 0)
    assert queue.arrive(BATCH, 1, 0).state is State.WAITING
    assert (queue.waiting, queue.arrive(KEY, 1, 0).state) == (0, State.REFUSED)


def test_more_slots_let_more_in_at_once():
    queue = make(slots=1)
    tickets = [queue.arrive(KEY, 1, 0) for _ in range(4)]
    queue.resize(slots=3, queue_size=8, large_slots=1, now=1)
    assert admitted(*tickets) == [True, True, True, False]
    queue.resize(slots=1, queue_size=8, large_slots=1, now=2)
    for ticket in tickets[:3]:
        queue.leave(ticket, 3)
    assert admitted(*tickets) == [True] * 4


def test_callers_who_are_long_gone_are_forgotten():
    queue = make()
    for number in range(1000):
        queue.leave(queue.arrive(Requester(str(number)), 1, number), number + 0.5)
    assert len(queue._lines) == 0
    assert len(queue._idle) < 100


REQUESTERS = [KEY, OTHER, VISITOR, VISITOR_2, BATCH, Requester("batch-2", Rank.BATCH)]
SIZES = [0.1, 12.0, 24.0, 30.0, 70.0, 100.0, 150.0, 400.0]


@dataclass(frozen=True)
class Image:
    """One image: its caller, the delay after the previous one, its size, its duration, how long its caller waits."""

    requester: Requester
    pause: float
    megapixels: float
    seconds: float
    patience: float


IMAGES = st.lists(
    st.builds(
        Image,
        st.sampled_from(REQUESTERS),
        st.floats(0, 2),
        st.sampled_from(SIZES),
        st.floats(0.1, 20),
        st.sampled_from([3.0, 120.0, 1e9]),
    ),
    max_size=60,
)


@dataclass
class Checked:
    """Runs images through a queue and checks the invariants after each event."""

    queue: FairQueue
    events: list[tuple[float, int, str, object]] = field(default_factory=list)
    numbers: "count[int]" = field(default_factory=count)
    seconds: dict[Ticket, float] = field(default_factory=dict)
    reserved_at: dict[Ticket, float] = field(default_factory=dict)
    ends: int = 0

    def run(self, images: list[Image]) -> None:
        now = 0.0
        self.queue._notify = self.changed
        for image in images:
            now += image.pause
            self.push(now, "arrive", image)
        while self.events:
            self.now, _, kind, what = heapq.heappop(self.events)
            getattr(self, kind)(what)
            self.check()
        assert not self.queue.running
        assert not any(self.queue.waiting_by_rank.values())

    def push(self, when: float, kind: str, what: object) -> None:
        heapq.heappush(self.events, (when, next(self.numbers), kind, what))

    def arrive(self, image: Image) -> None:
        ticket = self.queue.arrive(image.requester, image.megapixels, self.now)
        self.seconds[ticket] = image.seconds
        if ticket.state is State.WAITING:
            self.push(self.now + image.patience, "cancel", ticket)
        else:
            self.changed(ticket)

    def changed(self, ticket: Ticket) -> None:
        if ticket.state is State.ADMITTED:
            self.push(self.now + self.seconds[ticket], "leave", ticket)

    def leave(self, ticket: Ticket) -> None:
        self.queue.leave(ticket, self.now)

    def cancel(self, ticket: Ticket) -> None:
        self.queue.cancel(ticket, self.now)

    def check(self) -> None:
        queue = self.queue
        running, waiting = queue.running, [t for line in queue._lines.values() for t in line.waiting]
        assert len(running) <= queue.slots
        weight = sum(ticket.weight for ticket in running)
        assert queue.weight == pytest.approx(weight)
        assert len(running) <= 1 or weight <= queue.megapixels + 1e-9
        # Places in the queue.
        ranks = [ticket.rank for ticket in waiting]
        assert {rank: ranks.count(rank) for rank in Rank} == queue.waiting_by_rank
        assert queue.waiting <= queue.queue_size
        assert ranks.count(Rank.ANONYMOUS) <= max(1, queue.queue_size // 2)
        # An empty gate refuses no one, and what fits goes in, unless a place is reserved.
        assert running or not waiting
        reserved = queue._reserved
        for ticket in waiting:
            assert ticket.state is State.WAITING
            assert not queue._fits(ticket) or (reserved is not None and not queue._may_pass(ticket))
        # A lower rank's large images leave a slot free, when there is more than one.
        for rank in (Rank.ANONYMOUS, Rank.BATCH):
            large = [ticket for ticket in running if ticket.rank is rank and ticket.is_large]
            assert len(large) <= max(1, queue.slots - 1)
        if reserved is not None:
            self.reserved_at.setdefault(reserved, self.now)


@examples(100)
@given(IMAGES, st.integers(1, 4), st.sampled_from([0, 1, 3, 8, 32]), st.sampled_from([20.0, 100.0, 150.0, 400.0]))
def test_whatever_comes_the_bounds_hold_and_nothing_that_fits_waits_for_nothing(images, slots, queue_size, megapixels):
    Checked(make(slots=slots, queue_size=queue_size, megapixels=megapixels)).run(images)


@examples(100)
@given(IMAGES, st.integers(2, 4))
def test_a_reserved_image_waits_for_those_in_work_and_small_ones_at_most(images, slots):
    """For customers: lower ranks may wait for customers as well."""
    images = [
        Image(Requester(image.requester.name + str(image.requester.rank)), image.pause, image.megapixels, image.seconds, 1e9)
        for image in images
    ]
    checked = Checked(make(slots=slots, queue_size=100))
    checked.run(images)
    longest = max((image.seconds for image in images), default=0)
    for ticket, since in checked.reserved_at.items():
        assert ticket.admitted_at - since <= 2 * longest + 1e-6
