"""Host name look-ups that hang: they delay only their own customer, and nothing forever."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from lib.outbound import addresses as public_addresses
from lib.outbound import client as outbound
from lib.outbound import lookups
from lib.outbound.addresses import find_addresses
from lib.outbound.fair_places import FairPlaces
from lib.outbound.lookups import Asker, Lookups, NoPlace

GOOD = "8.8.8.8"


class Resolver:
    """Names that begin with `slow` hang until the end of the test."""

    def __init__(self) -> None:
        self.end = threading.Event()
        self.hanging = 0

    def look_up(self, host: str, port: int) -> list[str]:
        if host.startswith("slow"):
            self.hanging += 1
            self.end.wait(20)
        return [GOOD]


@pytest.fixture
def resolver(monkeypatch) -> Iterator[Resolver]:
    resolver = Resolver()
    monkeypatch.setattr(public_addresses, "look_up", resolver.look_up)
    yield resolver
    resolver.end.set()


@pytest.fixture
def pool() -> Lookups:
    return Lookups("test")


def hang(pool: Lookups, owners: list[str], wait: float = 0.1) -> None:
    """Make each of these wait for a name that hangs, until all have given up."""

    def one(owner: str) -> None:
        with pytest.raises(TimeoutError):
            find_addresses("slow.test", 80, 0.2, Asker(pool, owner, wait))

    with ThreadPoolExecutor(len(owners)) as threads:
        list(threads.map(one, owners))


def seconds_of(pool: Lookups, owner: str) -> float:
    started = time.monotonic()
    assert find_addresses("good.test", 80, 3, Asker(pool, owner)) == [GOOD]
    return time.monotonic() - started


def test_one_slow_customer_holds_up_no_other(resolver, pool):
    hang(pool, ["account:1"] * 40)
    assert resolver.hanging == 2
    assert max(seconds_of(pool, f"account:{number}") for number in range(2, 12)) < 0.1
    assert seconds_of(pool, "address:192.0.2.1") < 0.1


def test_a_slow_customer_waits_for_its_own(resolver, pool):
    hang(pool, ["account:1"] * 2)
    with pytest.raises(NoPlace) as refused:
        find_addresses("good.test", 80, 3, Asker(pool, "account:1", 0.05))
    assert refused.value.own_fault
    resolver.end.set()
    assert find_addresses("good.test", 80, 3, Asker(pool, "account:1")) == [GOOD]


def test_many_anonymous_addresses_leave_half_to_customers(resolver, pool):
    hang(pool, [f"address:{number // 2}" for number in range(80)])
    assert resolver.hanging == lookups.PLACES // 2
    assert seconds_of(pool, "account:1") < 0.1


def test_a_quarter_is_for_those_who_have_none(resolver, pool):
    hang(pool, [f"account:{number // 2}" for number in range(24)])
    assert resolver.hanging == 24
    hang(pool, [f"account:newcomer-{number // 2}" for number in range(16)])
    assert resolver.hanging == 32 == lookups.PLACES
    with pytest.raises(NoPlace) as refused:
        find_addresses("good.test", 80, 1, Asker(pool, "account:late", 0.05))
    assert not refused.value.own_fault


def test_pools_do_not_wait_for_each_other(resolver, pool):
    hang(pool, [f"account:{number // 2}" for number in range(80)])
    assert seconds_of(Lookups("other"), "account:1") < 0.1
    assert lookups.IMAGES is not lookups.CALLBACKS


def test_what_hangs_for_good_counts_only_for_a_while_and_is_bounded(resolver, pool, monkeypatch):
    monkeypatch.setattr(lookups, "FORGIVEN_SECONDS", 0.1)
    monkeypatch.setattr(lookups, "MAX_THREADS", 6)
    for _ in range(3):
        hang(pool, ["account:1"] * 2)
        time.sleep(0.15)
    assert resolver.hanging == 6
    with pytest.raises(NoPlace) as refused:
        find_addresses("good.test", 80, 1, Asker(pool, "account:2"))
    assert not refused.value.own_fault
    resolver.end.set()
    deadline = time.monotonic() + 5
    while pool._running:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert find_addresses("good.test", 80, 1, Asker(pool, "account:1", 1)) == [GOOD]


def test_what_the_resolver_raises_is_passed_on_and_leaves_its_place(pool, names):
    for _ in range(5):
        assert find_addresses("unknown.test", 80, 1, Asker(pool, "account:1", 0)) == []


def test_a_look_up_without_a_place_is_a_separate_error(resolver, pool):
    hang(pool, ["account:1"] * 2)
    with pytest.raises(outbound.Crowded):
        outbound.send("GET", "http://good.test/", ports=[80], seconds=1, asker=Asker(pool, "account:1", 0.01))


def test_places_are_taken_and_left():
    places = FairPlaces(4, 3)
    assert [places.take("a", 0) for _ in range(4)] == [True, True, True, False]
    assert places.is_full_of("a")
    assert places.take("b", 0)
    assert not places.take("c", 0)
    threading.Timer(0.05, places.leave, ["a"]).start()
    assert places.take("c", 5)


def test_one_place_serves_anyone():
    places = FairPlaces(1, 1)
    for owner in ("address:192.0.2.1", "account:1"):
        assert places.take(owner, 0)
        assert not places.take("account:2", 0)
        places.leave(owner)
