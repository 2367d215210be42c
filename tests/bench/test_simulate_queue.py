"""The simulation behind docs/capacity.md, against known results for queues."""

import math

import pytest

from tests.bench.simulate_queue import Load, machines_needed, simulate, slots_needed

ENDLESS = {"queue": 10**9, "deadline": 10**9}


def mean_wait(slots: int, rate: float, seconds: float) -> float:
    """Erlang's C: the mean wait of an M/M/k queue."""
    offered = rate * seconds
    last = offered**slots / math.factorial(slots) * slots / (slots - offered)
    all_busy = last / (sum(offered**k / math.factorial(k) for k in range(slots)) + last)
    return all_busy * seconds / (slots - offered)


def test_one_slot_waits_as_pollaczek_and_khinchine_say():
    """M/G/1: the mean wait is load * service * (1 + spread squared) / (2 (1 - load)); the median is below it."""
    rate, seconds, spread = 0.6, 1.0, 0.5
    outcome = simulate(Load(rate, seconds, spread), 1, images=200_000, **ENDLESS)
    mean = rate * seconds * seconds * (1 + spread**2) / (2 * (1 - rate * seconds))
    assert outcome.busy == pytest.approx(0.6, rel=0.02)
    # Waits of M/G/1 decay about exponentially past their mean.
    assert mean * 2 < outcome.wait_p95 < mean * 5
    assert outcome.wait_p50 < mean


def test_more_slots_share_their_waits():
    few, many = (simulate(Load(0.8 * slots, 1, 1), slots, **ENDLESS) for slots in (2, 20))
    assert few.busy == pytest.approx(many.busy, rel=0.03)
    assert many.wait_p95 < few.wait_p95 / 4
    assert mean_wait(20, 16, 1) < mean_wait(2, 1.6, 1) / 4


def test_a_queue_with_an_end_turns_the_rest_away():
    outcome = simulate(Load(3, 1, 0.5), 2, queue=4, deadline=1e9)
    assert outcome.busy > 0.98
    assert outcome.refused == pytest.approx(1 / 3, abs=0.03)
    assert outcome.wait_p99 < 5


def test_no_image_waits_longer_than_the_deadline():
    outcome = simulate(Load(3, 1, 0.5), 2, queue=10**9, deadline=2)
    assert 1.5 < outcome.wait_p99 <= 2
    assert outcome.refused > 0.2


def test_the_same_seed_tells_the_same():
    load = Load(1, 1, 0.6)
    assert simulate(load, 2, **ENDLESS) == simulate(load, 2, **ENDLESS)


def test_the_slots_that_are_called_enough_meet_the_goals():
    slots, outcome = slots_needed(Load(5, 1, 0.6), queue=32, deadline=120)
    assert 7 <= slots <= 8
    assert outcome.wait_p95 <= 1
    assert outcome.refused <= 0.001
    assert outcome.busy <= 0.82


def test_queues_apart_need_at_least_as_many_slots_as_one_for_all():
    load = Load(50, 1, 0.6)
    machines, outcome = machines_needed(load, 4, queue=32, deadline=120)
    assert machines * 4 >= slots_needed(load, queue=32, deadline=120)[0]
    assert outcome.wait_p95 <= 1
