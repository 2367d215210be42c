"""What the gate promises its callers, in a simulation of its decisions: see simulate_gate."""

import pytest

from imaging.executor.fair_queue import PASS_SECONDS, PROMOTE_SECONDS
from tests.bench.simulate_gate import SCENARIOS, Figures, FirstCome, fair, seconds_of


def run(name: str) -> tuple[dict[str, Figures], dict[str, Figures]]:
    """The figures of first come, first served, and of the gate."""
    return SCENARIOS[name].run(FirstCome), SCENARIOS[name].run(fair)


def test_two_bombs_keep_no_small_image_waiting():
    before, now = run("bombs")
    assert before["customer, 64x64"].wait(1) > 110
    assert now["customer, 64x64"].wait(1) == 0
    assert now["anonymous, 100 MP, 114 s"].wait(1) <= 114


def test_a_caller_with_a_hundred_images_keeps_others_waiting_for_their_turns_alone():
    before, now = run("crowd")
    assert before["1 each of 5"].refused == 3
    assert now["1 each of 5"].refused == 0
    assert now["1 each of 5"].wait(1) <= 2 * seconds_of(1)
    assert len(now["100 at once"].waits) >= len(before["100 at once"].waits) - 3


def test_a_caller_with_sixteen_in_flight_keeps_another_one_waiting_for_about_one_image():
    before, now = run("sixteen")
    assert before["another key"].wait(0.5) > 10
    assert now["another key"].wait(0.5) <= seconds_of(2)
    # Its own images may arrive close together, too.
    assert now["another key"].wait(1) <= seconds_of(12) + seconds_of(2)
    assert len(now["16 in flight"].ends) >= 0.99 * len(before["16 in flight"].ends)


def test_a_flood_of_anonymous_callers_stays_behind_customers():
    before, now = run("flood")
    assert before["customers"].refused > 100
    assert (now["customers"].refused, now["customers"].gave_up) == (0, 0)
    assert now["customers"].wait(0.5) <= 1
    assert now["customers"].wait(1) <= 10
    assert len(now["anonymous"].waits) > 100
    assert len(now["anonymous, 100 MP"].waits) >= 10


@pytest.mark.parametrize("name", ["large", "overloaded"])
def test_a_large_image_waits_for_a_bounded_time(name):
    _, now = run(name)
    seen = now["100 MP, every 100 s"]
    assert (seen.refused, seen.gave_up) == (0, 0)
    assert seen.wait(1) <= PASS_SECONDS + 2 * seconds_of(12)


def test_lower_ranks_move_while_customers_send_twice_what_fits():
    before, now = run("lower-ranks")
    customers = "customers, twice what fits"
    for kind in ("anonymous", "batches"):
        # One image each time two PROMOTE_SECONDS, one for each rank, and the work of two images are over.
        assert len(now[kind].waits) >= 600 / (2 * PROMOTE_SECONDS + 2 * seconds_of(2)) - 1
        assert now[kind].gave_up == 0
    assert before["batches"].gave_up == 10
    assert len(now[customers].waits) >= len(before[customers].waits)


def test_batches_take_what_is_left_and_cost_customers_little():
    before, now = run("batches")
    assert now["customers"].wait(0.95) <= before["customers"].wait(0.95) + 0.5
    assert now["customers"].wait(1) <= 2 * seconds_of(12)
    assert len(now["batches"].ends) >= 0.98 * len(before["batches"].ends)


@pytest.mark.parametrize("name", ["photos", "large-photos"])
def test_a_customer_who_is_alone_is_no_slower(name):
    before, now = run(name)
    for kind, seen in now.items():
        assert max(seen.ends) == max(before[kind].ends)


def test_the_same_seed_tells_the_same():
    assert run("flood")[1] == run("flood")[1]
