"""The gate bounds work, memory and waiting."""

import threading
import time

import pytest

from config.errors import ApiError
from imaging.fair_queue import Rank, Requester
from imaging.gate import Gate

BATCH = Requester("batch", Rank.BATCH)


def run_all(gate: Gate, weights: list[float], hold: float = 0.02) -> tuple[int, float, list[Exception]]:
    """Send one thread per weight through the gate. Returns the most that were inside, their weight, and the errors."""
    lock = threading.Lock()
    inside: list[float] = []
    peaks: list[tuple[int, float]] = []
    errors: list[Exception] = []

    def work(weight: float) -> None:
        try:
            with gate.admit(weight):
                with lock:
                    inside.append(weight)
                    peaks.append((len(inside), sum(inside)))
                time.sleep(hold)
                with lock:
                    inside.remove(weight)
        except ApiError as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(weight,)) for weight in weights]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    return max(count for count, _ in peaks), max(weight for _, weight in peaks), errors


def test_no_more_pictures_than_slots():
    count, _, errors = run_all(Gate(slots=2, megapixels=1000, queue_size=50, seconds=10), [1.0] * 12)
    assert count == 2
    assert not errors


def test_no_more_megapixels_than_the_budget():
    _, weight, errors = run_all(Gate(slots=8, megapixels=150, queue_size=50, seconds=10), [100, 60, 40, 100, 30, 90])
    assert weight <= 150
    assert not errors


def test_eight_of_the_largest_pictures_queue_up():
    count, _, errors = run_all(Gate(slots=8, megapixels=150, queue_size=8, seconds=10), [100.0] * 8)
    assert count == 1
    assert not errors


def test_a_picture_above_the_budget_runs_alone():
    count, _, errors = run_all(Gate(slots=4, megapixels=100, queue_size=8, seconds=10), [400.0, 1.0, 400.0])
    assert count == 1
    assert not errors


def test_a_full_queue_refuses_at_once():
    gate = Gate(slots=1, megapixels=10, queue_size=0, seconds=60)
    with gate.admit(1), pytest.raises(ApiError) as refusal, gate.admit(1):
        pass
    assert (refusal.value.status, refusal.value.code) == (503, "server_busy")
    assert refusal.value.headers["Retry-After"]


def test_a_deadline_ends_the_wait_and_leaves_the_gate_usable():
    gate = Gate(slots=1, megapixels=10, queue_size=5, seconds=0.05)
    with gate.admit(1), pytest.raises(ApiError), gate.admit(1):
        pass
    assert (gate.waiting, gate.running) == (0, 0)
    with gate.admit(10):
        pass


def test_who_gives_up_lets_the_next_one_in():
    """A heavy picture at the head of the queue times out; the light one behind it must not wait for another event."""
    gate = Gate(slots=2, megapixels=10, queue_size=5, seconds=0.2)
    entered = threading.Event()
    with gate.admit(9):
        heavy = threading.Thread(target=lambda: _try(gate, 9))
        heavy.start()
        while gate.waiting == 0:
            time.sleep(0.001)
        time.sleep(0.1)
        light = threading.Thread(target=lambda: _try(gate, 1, entered))
        light.start()
        assert entered.wait(5)
        heavy.join()
        light.join()


def _try(gate: Gate, weight: float, entered: threading.Event | None = None) -> None:
    try:
        with gate.admit(weight):
            if entered:
                entered.set()
    except ApiError:
        pass


def test_a_crash_inside_gives_the_place_back():
    gate = Gate(slots=1, megapixels=10, queue_size=0, seconds=1)
    with pytest.raises(RuntimeError), gate.admit(1):
        raise RuntimeError
    assert (gate.running, gate.weight) == (0, 0.0)


def test_an_image_of_a_batch_enters_last_and_fills_no_queue():
    """It came first; a request that came after it went in before it."""
    gate = Gate(slots=1, megapixels=100, queue_size=1, seconds=10)
    order: list[str] = []

    def enter(name: str, requester: Requester) -> None:
        with gate.admit(1, requester):
            order.append(name)

    with gate.admit(1):
        batch = threading.Thread(target=enter, args=("batch", BATCH))
        batch.start()
        other = threading.Thread(target=enter, args=("other", Requester("other")))
        other.start()
        while gate.waiting != 1:
            time.sleep(0.001)
        assert order == []
    other.join(10)
    batch.join(10)
    assert order == ["other", "batch"]


def test_an_image_of_a_batch_gives_up_too():
    gate = Gate(slots=1, megapixels=100, queue_size=0, seconds=0.01)
    with gate.admit(1), pytest.raises(ApiError) as refusal, gate.admit(1, BATCH):
        pass
    assert refusal.value.code == "server_busy"
    with gate.admit(1, BATCH):
        pass
