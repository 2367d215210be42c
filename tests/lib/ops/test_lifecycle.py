"""The base of all background threads: they work in rounds, survive failures, and stop in time."""

import os
import threading
import time

import pytest
from django.db import InterfaceError, OperationalError

from lib.ops import database, lifecycle
from lib.ops.lifecycle import BackgroundThread


class Counting(BackgroundThread):
    """Counts its rounds. Each takes the next entry of `script` and raises it if it is an error, or returns it."""

    name = "counting"
    failure = "counting failed"
    stop_seconds = 10.0

    def __init__(self, *script: Exception | bool, pause: float | None = 0.01) -> None:
        self.script, self.seconds = list(script), pause
        super().__init__()

    def reset(self) -> None:
        super().reset()
        self.rounds = threading.Semaphore(0)
        self.done = 0

    def pause(self) -> float | None:
        return self.seconds

    def round(self) -> bool | None:
        self.done += 1
        self.rounds.release()
        outcome = self.script.pop(0) if self.script else None
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def has_done(self, rounds: int) -> bool:
        """Whether that many more rounds run within ten seconds."""
        return all(self.rounds.acquire(timeout=10) for _ in range(rounds))


@pytest.fixture
def started(request):
    """Starts threads and stops them after the test."""
    running = []

    def start(thread: BackgroundThread) -> None:
        running.append(thread)
        thread.start()

    yield start
    for thread in running:
        thread.stop()


@pytest.fixture
def parts(monkeypatch) -> dict[str, lifecycle.Part]:
    """An empty register."""
    parts: dict[str, lifecycle.Part] = {}
    monkeypatch.setattr(lifecycle, "_parts", parts)
    return parts


class Noting:
    """A part that records its start and its stop."""

    def __init__(self, name: str, notes: list[str], error: Exception | None = None) -> None:
        self.name, self.notes, self.error = name, notes, error

    def start(self) -> None:
        self.notes.append(f"+{self.name}")

    def stop(self) -> None:
        self.notes.append(f"-{self.name}")
        if self.error:
            raise self.error


# --- One thread ---------------------------------------------------------------------------------------


def test_it_does_round_after_round_until_it_is_stopped(started):
    thread = Counting()
    started(thread)
    assert thread.has_done(3)
    thread.stop()
    assert not any(one.is_alive() for one in thread._threads)
    done = thread.done
    time.sleep(0.05)
    assert thread.done == done


def test_starting_twice_starts_one_thread(started):
    thread = Counting(pause=60)
    started(thread)
    first = thread._threads
    started(thread)
    assert thread._threads == first
    assert [one.name for one in threading.enumerate()].count("counting") == 1


def test_the_first_round_comes_after_a_pause(started):
    thread = Counting(pause=60)
    started(thread)
    time.sleep(0.05)
    assert thread.done == 0


def test_a_call_wakes_it_and_none_is_lost_during_a_round(started):
    thread = Counting(pause=None)
    working, go_on = threading.Event(), threading.Event()

    def round() -> None:
        thread.done += 1
        working.set()
        go_on.wait(10)
        thread.rounds.release()

    thread.round = round  # type: ignore[method-assign]
    started(thread)
    thread.wake()
    assert working.wait(10)
    thread.wake()
    go_on.set()
    assert thread.has_done(2)
    assert thread.done == 2


def test_a_round_that_asks_for_another_is_followed_at_once(started):
    thread = Counting(True, True, False, pause=60)
    started(thread)
    thread.wake()
    assert thread.has_done(3)
    assert not thread.rounds.acquire(timeout=0.05)


def test_a_round_that_crashes_is_logged_and_the_next_one_comes(started, caplog):
    thread = Counting(RuntimeError("broken"), ValueError("again"))
    started(thread)
    assert thread.has_done(4)
    records = [record for record in caplog.records if record.message == "counting failed"]
    assert [str(record.exc_info[1]) for record in records if record.exc_info] == ["broken", "again"]
    assert {(record.levelname, record.name) for record in records} == {("ERROR", __name__)}


@pytest.mark.parametrize("error", [OperationalError("server closed the connection"), InterfaceError("closed")])
def test_an_outage_of_the_database_is_reported_as_such(error, caplog, monkeypatch):
    noted: list[BaseException] = []
    monkeypatch.setattr(database, "note_outage", noted.append)
    assert Counting(error).run_once() is False
    assert (noted, caplog.text) == ([error], "")


def test_after_each_round_the_connection_is_given_back(monkeypatch):
    given = []
    monkeypatch.setattr(database, "give_back", lambda: given.append(threading.current_thread().name))
    thread = Counting(RuntimeError("broken"), True)
    assert (thread.run_once(), thread.run_once()) == (False, True)
    assert len(given) == 2


def test_stopping_ends_an_endless_pause_at_once():
    thread = Counting(pause=None)
    thread.start()
    thread.stop_seconds = 60.0
    began = time.monotonic()
    thread.stop()
    assert time.monotonic() - began < 30
    assert not any(one.is_alive() for one in thread._threads)
    assert thread.done == 0


def test_stopping_waits_for_the_work_in_hand_but_not_past_the_deadline():
    thread, go_on, working = Counting(pause=0.01), threading.Event(), threading.Event()
    thread.stop_seconds = 0.2
    thread.round = lambda: working.set() or (go_on.wait(10) and None)  # type: ignore[method-assign, func-returns-value]
    thread.start()
    assert working.wait(10)
    began = time.monotonic()
    thread.stop()
    assert time.monotonic() - began >= 0.2
    assert thread._threads[0].is_alive()
    go_on.set()
    thread.stop_seconds = 10.0
    thread.stop()
    assert not thread._threads[0].is_alive()


def test_many_threads_share_one_deadline(monkeypatch):
    thread, go_on, working = Counting(pause=0.01), threading.Event(), threading.Semaphore(0)
    thread.stop_seconds = 0.3
    thread.loops = lambda: [("counting", thread.run)] * 4  # type: ignore[method-assign]
    thread.round = lambda: working.release() or (go_on.wait(10) and None)  # type: ignore[method-assign, func-returns-value]
    thread.start()
    assert all(working.acquire(timeout=10) for _ in range(4))
    join, waits = threading.Thread.join, []

    def noted(one: threading.Thread, seconds: float) -> None:
        waits.append(seconds)
        join(one, seconds)

    monkeypatch.setattr(threading.Thread, "join", noted)
    thread.stop()
    assert len(waits) == 4
    assert waits[0] <= 0.3
    assert sum(waits[1:]) < 0.1, "the first has used it up"
    go_on.set()
    thread.stop_seconds = 10.0
    thread.stop()
    assert not any(one.is_alive() for one in thread._threads)


def test_a_last_round_runs_where_it_is_wanted():
    thread = Counting(pause=60)
    thread.has_last_round = True
    thread.start()
    thread.stop()
    thread.stop()
    assert thread.done == 1


def test_a_stopped_one_stays_stopped():
    thread = Counting()
    thread.stop()
    thread.start()
    assert thread._threads == []


# --- Forks --------------------------------------------------------------------------------------------


def test_a_forked_child_starts_without_the_thread_and_can_start_its_own(started):
    thread = Counting()
    started(thread)
    assert thread.has_done(1)
    # Held at the fork by another thread, which the child does not have.
    with thread._starting:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                was_empty = thread._threads == [] and thread.done == 0
                thread.start()
                code = 0 if was_empty and thread.has_done(2) else 1
            finally:
                os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert thread.has_done(1), "the parent's goes on"


# --- All of a process ---------------------------------------------------------------------------------


def test_parts_start_in_order_and_stop_in_reverse(parts):
    notes: list[str] = []
    for name in ("first", "second", "third"):
        lifecycle.register(name, Noting(name, notes))
    lifecycle.start_all()
    lifecycle.stop_all()
    assert notes == ["+first", "+second", "+third", "-third", "-second", "-first"]


def test_a_part_that_fails_to_stop_does_not_keep_others_running(parts, caplog):
    notes: list[str] = []
    lifecycle.register("first", Noting("first", notes))
    lifecycle.register("second", Noting("second", notes, RuntimeError("stuck")))
    lifecycle.stop_all()
    assert notes == ["-second", "-first"]
    assert "a part did not stop" in caplog.text


def test_a_thread_is_woken_by_its_name(parts, started):
    thread = Counting(pause=None)
    lifecycle.register("counting", thread)
    lifecycle.register("noting", Noting("noting", []))
    started(thread)
    for name in ("counting", "noting", "none"):
        lifecycle.wake(name)
    assert thread.has_done(1)


def test_what_a_web_process_starts_and_in_which_order():
    """Stopped in reverse: batches may still make callbacks, and both write records and traces."""
    assert list(lifecycle._parts) == ["places", "tracing", "request-log", "sweeper", "callbacks", "batches"]
