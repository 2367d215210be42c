"""The gate bounds work, memory and waiting."""

import random
import threading
import time
from collections.abc import Callable

import pytest

from imaging.executor import gate as gate_module
from imaging.executor.fair_queue import Rank, Requester
from imaging.executor.gate import Busy, Gate, LeftQueue

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
        except Busy as error:
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
    with gate.admit(1), pytest.raises(Busy), gate.admit(1):
        pass


def test_a_deadline_ends_the_wait_and_leaves_the_gate_usable():
    gate = Gate(slots=1, megapixels=10, queue_size=5, seconds=0.05)
    with gate.admit(1), pytest.raises(Busy), gate.admit(1):
        pass
    assert (gate.waiting, gate.running) == (0, 0)
    with gate.admit(10):
        pass


def test_who_gives_up_lets_the_next_one_in():
    """A heavy image at the head of the queue times out; the light one behind it must not wait for another event."""
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
    except Busy:
        pass


def test_a_crash_inside_gives_the_place_back():
    gate = Gate(slots=1, megapixels=10, queue_size=0, seconds=1)
    with pytest.raises(RuntimeError), gate.admit(1):
        raise RuntimeError
    assert (gate.running, gate.weight) == (0, 0.0)


def test_an_image_of_a_batch_enters_last_and_fills_no_queue():
    """It arrived first; a request that arrived later entered before it."""
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
    with gate.admit(1), pytest.raises(Busy), gate.admit(1, BATCH):
        pass
    with gate.admit(1, BATCH):
        pass


def start(gate: Gate, requester: Requester, inside: list[str], *, weight: float = 1, hold: float = 0.0) -> threading.Thread:
    """Send one image through the gate in a thread. Its caller's name is recorded when it is inside, or `refused`."""

    def run() -> None:
        try:
            with gate.admit(weight, requester):
                inside.append(requester.name)
                time.sleep(hold)
        except Busy:
            inside.append(f"{requester.name} refused")

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_a_small_image_passes_two_large_ones():
    """The first is running, the second does not fit next to it."""
    gate = Gate(slots=2, megapixels=150, queue_size=8, seconds=10)
    inside: list[str] = []
    with gate.admit(100, Requester("bomb")):
        second = start(gate, Requester("bomb"), inside, weight=100)
        wait_until(lambda: gate.waiting == 1)
        with gate.admit(0.004, Requester("shop")) as waited:
            assert waited < 1
        assert inside == []
    second.join(10)
    assert inside == ["bomb"]


def test_who_has_to_give_way_is_refused_while_it_waits():
    gate = Gate(slots=1, megapixels=10, queue_size=2, seconds=60)
    inside: list[str] = []
    with gate.admit(1):
        threads = []
        for waiting in (1, 2):
            threads.append(start(gate, Requester("heavy"), inside))
            wait_until(lambda waiting=waiting: gate.waiting == waiting)
        threads.append(start(gate, Requester("light"), inside))
        threads[1].join(10)
        assert inside == ["heavy refused"]
        assert gate.waiting == 2
    for thread in threads:
        thread.join(10)
    assert sorted(inside) == ["heavy", "heavy refused", "light"]


def test_a_caller_who_has_gone_gives_the_place_back(monkeypatch):
    monkeypatch.setattr(gate_module, "LOOK_SECONDS", 0.01)
    gate = Gate(slots=1, megapixels=10, queue_size=1, seconds=60)
    answers = iter([True, True, False])
    with gate.admit(1), pytest.raises(LeftQueue), gate.admit(1, still_wanted=lambda: next(answers)):
        pass
    assert (gate.waiting, gate.running) == (0, 0)


def test_a_caller_who_is_still_there_is_let_in(monkeypatch):
    monkeypatch.setattr(gate_module, "LOOK_SECONDS", 0.01)
    gate = Gate(slots=1, megapixels=10, queue_size=1, seconds=60)
    asked = threading.Event()

    def still_wanted() -> bool:
        asked.set()
        return True

    inside: list[str] = []
    thread = start(gate, Requester("first"), inside, hold=0.1)
    wait_until(lambda: gate.running == 1)
    with gate.admit(1, still_wanted=still_wanted):
        assert asked.is_set()
    thread.join(10)


def test_many_threads_leave_nothing_behind():
    """Admitted, refused, displaced, too late and gone, all at the same time."""
    gate = Gate(slots=3, megapixels=20, queue_size=6, seconds=0.05)
    chance = random.Random(7)  # noqa: S311 - no secret
    plans = [
        [(chance.choice((0.5, 5, 15, 40)), chance.choice(list(Rank)), chance.random() / 100) for _ in range(40)]
        for _ in range(16)
    ]
    done: list[str] = []

    def run(number: int) -> None:
        for weight, rank, hold in plans[number]:
            wanted = iter([True] * number + [False] * 1000)
            try:
                with gate.admit(weight, Requester(f"{rank}-{number % 5}", rank), lambda wanted=wanted: next(wanted)):
                    time.sleep(hold)
                    done.append("in")
            except Busy:
                done.append("busy")
            except LeftQueue:
                done.append("gone")

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(plans))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(done) == 16 * 40
    assert {"in", "busy"} <= set(done)
    assert (gate.waiting, gate.running, gate.weight) == (0, 0, 0.0)
    assert gate._events == {}
    with gate.admit(20):
        pass
