"""Who waits how long at the gate? A discrete-event simulation that runs the gate's own decisions on a virtual clock.

    python -m tests.bench.simulate_gate [SCENARIO ...]

Each scenario sends images of several callers to two gates: the one of `imaging.executor.fair_queue`, and first come, first
served, which it replaced. Prints, for each kind of caller, how many images were sent and delivered, how many were refused
or gave up after the deadline, and how long the delivered ones waited. The same seed gives the same figures.
"""

import argparse
import heapq
import random
from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

from imaging.executor.fair_queue import FairQueue, Rank, Requester, State

SEED = 20
SLOTS, MEGAPIXELS, QUEUE_SIZE, DEADLINE = 2, 150.0, 32, 120.0
# Measured on two cores: an image's time in a slot, with the other slot busy.
BASE_SECONDS, SECONDS_PER_MEGAPIXEL = 0.9, 0.13


@dataclass(frozen=True, slots=True)
class Request:
    """One image. With `again` its caller sends the next one that many seconds after its end, until the scenario ends."""

    kind: str
    requester: Requester
    at: float
    megapixels: float
    seconds: float
    again: float | None = None


@dataclass(slots=True)
class Figures:
    """What callers of one kind saw. `waits` are seconds of admitted images, ascending; `ends` when each was done."""

    sent: int = 0
    refused: int = 0
    gave_up: int = 0
    waits: list[float] = field(default_factory=list)
    ends: list[float] = field(default_factory=list)

    def wait(self, share: float) -> float:
        """A quantile of the waits; 1 is the longest."""
        return self.waits[min(len(self.waits) - 1, int(share * len(self.waits)))] if self.waits else float("nan")


# Both gates have their own tickets; what counts here is their `state`.
_Ticket = Any
Notify = Callable[[_Ticket], None]


def fair(notify: Notify, slots: int = SLOTS) -> FairQueue:
    """The current gate."""
    return FairQueue(slots=slots, megapixels=MEGAPIXELS, queue_size=QUEUE_SIZE, notify=notify)


@dataclass(eq=False, slots=True)
class _Place:
    requester: Requester
    weight: float
    state: State = State.WAITING


class FirstCome:
    """The previous gate: strictly in order of arrival, images of batches when no other one waits."""

    def __init__(self, notify: Notify, slots: int = SLOTS) -> None:
        self.slots, self.notify = slots, notify
        self.running, self.weight = 0, 0.0
        self.queue: deque[_Place] = deque()
        self.batches: deque[_Place] = deque()

    def arrive(self, requester: Requester, megapixels: float, now: float) -> _Place:
        place = _Place(requester, min(megapixels, MEGAPIXELS))
        if not self.queue and self._fits(place):
            self._admit(place)
        elif requester.rank is Rank.BATCH:
            self.batches.append(place)
        elif len(self.queue) >= QUEUE_SIZE:
            place.state = State.REFUSED
        else:
            self.queue.append(place)
        return place

    def leave(self, place: _Place, now: float) -> None:
        self.running -= 1
        self.weight = self.weight - place.weight if self.running else 0.0
        self._fill()

    def cancel(self, place: _Place, now: float) -> None:
        if place.state is State.WAITING:
            (self.batches if place.requester.rank is Rank.BATCH else self.queue).remove(place)
            place.state = State.GONE
            self._fill()

    def _fits(self, place: _Place) -> bool:
        return self.running < self.slots and (self.running == 0 or self.weight + place.weight <= MEGAPIXELS)

    def _admit(self, place: _Place) -> None:
        place.state = State.ADMITTED
        self.running += 1
        self.weight += place.weight

    def _fill(self) -> None:
        while line := self.queue or self.batches:
            if not self._fits(line[0]):
                return
            place = line.popleft()
            self._admit(place)
            self.notify(place)


Make = Callable[[Notify, int], Any]
GATES: dict[str, Make] = {"first come": FirstCome, "fair": fair}


def simulate(requests: Iterable[Request], until: float, make: Make, slots: int = SLOTS) -> dict[str, Figures]:
    """Send the requests through a gate, and repeat those that ask for it until second `until`. Returns figures by kind."""
    return _Run(make, slots, until).run(requests)


class _Run:
    """Events by time: an image arrives, its work is done, its deadline passes."""

    def __init__(self, make: Make, slots: int, until: float) -> None:
        self.queue = make(self._changed, slots)
        self.until = until
        self.now = 0.0
        self.events: list[tuple[float, int, Callable[[], None]]] = []
        self.numbers = count()
        self.figures: dict[str, Figures] = defaultdict(Figures)
        self.sent: dict[_Ticket, tuple[Request, float]] = {}

    def run(self, requests: Iterable[Request]) -> dict[str, Figures]:
        for request in requests:
            self._at(request.at, lambda request=request: self._arrive(request))
        while self.events:
            self.now, _, happen = heapq.heappop(self.events)
            happen()
        for figures in self.figures.values():
            figures.waits.sort()
        return dict(self.figures)

    def _at(self, when: float, happen: Callable[[], None]) -> None:
        heapq.heappush(self.events, (when, next(self.numbers), happen))

    def _arrive(self, request: Request) -> None:
        self.figures[request.kind].sent += 1
        ticket = self.queue.arrive(request.requester, request.megapixels, self.now)
        self.sent[ticket] = (request, self.now)
        if ticket.state is State.WAITING:
            self._at(self.now + DEADLINE, lambda: self._give_up(ticket))
        else:
            self._changed(ticket)

    def _changed(self, ticket: _Ticket) -> None:
        request, arrived = self.sent[ticket]
        figures = self.figures[request.kind]
        if ticket.state is State.REFUSED:
            figures.refused += 1
            # As `Retry-After` has it.
            self._again(request, 5.0)
            return
        figures.waits.append(self.now - arrived)
        self._at(self.now + request.seconds, lambda: self._done(ticket))

    def _done(self, ticket: _Ticket) -> None:
        request, _ = self.sent[ticket]
        self.figures[request.kind].ends.append(self.now)
        self.queue.leave(ticket, self.now)
        self._again(request)

    def _give_up(self, ticket: _Ticket) -> None:
        if ticket.state is State.WAITING:
            request, _ = self.sent[ticket]
            self.figures[request.kind].gave_up += 1
            self.queue.cancel(ticket, self.now)
            self._again(request)

    def _again(self, request: Request, least: float = 0.0) -> None:
        if request.again is not None and (at := self.now + max(least, request.again)) < self.until:
            self._at(at, lambda: self._arrive(replace(request, at=at)))


# --- scenarios ---


@dataclass(frozen=True, slots=True)
class Scenario:
    """Some callers, for a number of seconds."""

    about: str
    until: float
    make: Callable[[random.Random], list[Request]]
    slots: int = SLOTS

    def run(self, make: Make) -> dict[str, Figures]:
        """The figures of one gate."""
        return simulate(self.make(random.Random(SEED)), self.until, make, self.slots)  # noqa: S311 - no secret


def customer(name: str) -> Requester:
    return Requester(f"account:{name}")


def anonymous(name: object) -> Requester:
    return Requester(f"address:{name}", Rank.ANONYMOUS)


def batch(name: str) -> Requester:
    return Requester(f"account:{name}", Rank.BATCH)


def seconds_of(megapixels: float, chance: random.Random | None = None) -> float:
    """The time of an image in a slot, a fifth more or less with `chance`."""
    seconds = BASE_SECONDS + SECONDS_PER_MEGAPIXEL * megapixels
    return seconds * chance.uniform(0.8, 1.2) if chance else seconds


def one(kind: str, requester: Requester, at: float, megapixels: float, **more: float) -> Request:
    return Request(kind, requester, at, megapixels, more.pop("seconds", 0.0) or seconds_of(megapixels), **more)


def stream(
    kind: str, requester: Requester, rate: float, until: float, megapixels: tuple[float, ...], chance: random.Random
) -> list[Request]:
    """Random arrivals of images, `rate` a second, each of one of the sizes."""
    requests, at = [], chance.expovariate(rate)
    while at < until:
        size = chance.choice(megapixels)
        requests.append(Request(kind, requester, at, size, seconds_of(size, chance)))
        at += chance.expovariate(rate)
    return requests


def bombs(chance: random.Random) -> list[Request]:
    address = anonymous("bomber")
    return [
        *(one("anonymous, 100 MP, 114 s", address, at / 10, 100, seconds=114) for at in range(2)),
        one("customer, 64x64", customer("shop"), 1.0, 0.004),
    ]


def crowd(chance: random.Random) -> list[Request]:
    return [
        *(one("100 at once", customer("heavy"), 0.0, 1) for _ in range(100)),
        *(one("1 each of 5", customer(f"light-{number}"), 1.0 + number / 5, 1) for number in range(5)),
    ]


def sixteen(chance: random.Random) -> list[Request]:
    heavy = [one("16 in flight", customer("heavy"), 0.0, 2, again=0.05) for _ in range(16)]
    return heavy + stream("another key", customer("light"), 0.2, 300, (0.5, 2, 12), chance)


def flood(chance: random.Random) -> list[Request]:
    requests = [one("anonymous", anonymous(n), n / 50, 2, again=2.0) for n in range(50)]
    requests += [one("anonymous, 100 MP", anonymous(f"large-{n}"), n, 100, again=2.0) for n in range(5)]
    for name in ("a", "b", "c"):
        requests += stream("customers", customer(name), 0.2, 300, (0.5, 2, 12), chance)
    return requests


def large(chance: random.Random, small_rate: float = 1.0) -> list[Request]:
    requests = [one("100 MP, every 100 s", customer("large"), 10.0 + 100 * n, 100) for n in range(6)]
    for number in range(8):
        requests += stream("up to 12 MP", customer(f"small-{number}"), small_rate / 8, 600, (0.5, 1, 2, 12), chance)
    return requests


def overloaded(chance: random.Random) -> list[Request]:
    return large(chance, small_rate=3.0)


def lower_ranks(chance: random.Random) -> list[Request]:
    requests = [one("batches", batch(f"batch-{n % 2}"), 0.0, 2, again=0.05) for n in range(2)]
    requests += [one("anonymous", anonymous(n), n / 4, 2, again=5.0) for n in range(4)]
    for number in range(8):
        requests += stream("customers, twice what fits", customer(str(number)), 0.35, 600, (0.5, 1, 2, 12), chance)
    return requests


def batches(chance: random.Random) -> list[Request]:
    requests = [one("batches", batch("shop"), 0.0, 12, again=0.05)]
    for number in range(8):
        requests += stream("customers", customer(str(number)), 0.08, 600, (0.5, 1, 2, 12), chance)
    return requests


def photos(megapixels: float) -> Callable[[random.Random], list[Request]]:
    return lambda chance: [one(f"{megapixels:g} MP", customer("shop"), 0.0, megapixels) for _ in range(30)]


SCENARIOS = {
    "bombs": Scenario("Two anonymous bombs of one address, then a customer's small image", 10, bombs),
    "crowd": Scenario("One key sends 100 images at once, five others one each", 10, crowd),
    "sixteen": Scenario("One key keeps 16 requests in flight, another one sends now and then", 300, sixteen),
    "flood": Scenario("55 addresses send without pause, three keys now and then", 300, flood),
    "large": Scenario("Large images of one key among small ones of eight others, 80 % busy", 600, large),
    "overloaded": Scenario("The same with twice as many small ones as fit", 600, overloaded),
    "lower-ranks": Scenario(
        "Customers send twice what fits; anonymous callers and batches want to move, too", 600, lower_ranks
    ),
    "batches": Scenario("A batch of 12-MP photos, with requests of eight keys", 600, batches),
    "photos": Scenario("30 photos of one key, nothing else", 10, photos(24)),
    "large-photos": Scenario("30 photos of one key, nothing else", 10, photos(45)),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenarios", nargs="*", help=f"of {', '.join(SCENARIOS)}; all by default")
    for name in parser.parse_args().scenarios or SCENARIOS:
        scenario = SCENARIOS[name]
        print(f"\n{name}: {scenario.about}\n")
        print("| gate | caller | sent | delivered | refused | gave up | wait p50, p95, max s | last done, s |")
        print("|---|---|---|---|---|---|---|---|")
        for gate, make in GATES.items():
            for kind, seen in scenario.run(make).items():
                waits = ", ".join(f"{seen.wait(share):.1f}" for share in (0.5, 0.95, 1.0))
                print(
                    f"| {gate} | {kind} | {seen.sent} | {len(seen.waits)} | {seen.refused} | {seen.gave_up} | {waits} "
                    f"| {max(seen.ends, default=0):.0f} |"
                )


if __name__ == "__main__":
    main()
