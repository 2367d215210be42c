"""Shares the strips of an image among the cores that are idle. The result does not depend on how many there are.

The threads belong to one image: they start in its own thread, so they have its priority, and end with it.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class _Helpers(NamedTuple):
    pool: ThreadPoolExecutor
    size: int


_helpers: ContextVar[_Helpers | None] = ContextVar("helpers", default=None)


@contextmanager
def use_cores(count: int) -> Iterator[None]:
    """Let this thread's calls of this module work on `count` cores for the block."""
    if count < 2:
        yield
        return
    with ThreadPoolExecutor(count - 1, thread_name_prefix="strips") as pool:
        token = _helpers.set(_Helpers(pool, count - 1))
        try:
            yield
        finally:
            _helpers.reset(token)


def cores_in_use() -> int:
    """How many cores the calls of this thread work on."""
    helpers = _helpers.get()
    return 1 if helpers is None else helpers.size + 1


def for_each(work: Callable[[Item], None], items: Iterable[Item]) -> None:
    """Call `work` for each of `items`, in any order, several at once. Returns when all are done.

    Raises the first exception of a call; no call begins after it.
    """
    helpers, waiting = _helpers.get(), list(items)
    if helpers is None or len(waiting) < 2:
        for item in waiting:
            work(item)
        return
    waiting.reverse()

    def work_on() -> None:
        try:
            while True:
                try:
                    item = waiting.pop()
                except IndexError:
                    return
                work(item)
        except BaseException:
            waiting.clear()
            raise

    others = [helpers.pool.submit(work_on) for _ in range(min(helpers.size, len(waiting) - 1))]
    try:
        work_on()
    finally:
        # The rest have not begun: their core still does what in_background() started.
        errors = [other.exception() for other in others if not other.cancel()]
    for error in filter(None, errors):
        raise error


def in_background(work: Callable[[], Result]) -> "Future[Result]":
    """Start `work` on another core; without one, do it now."""
    helpers = _helpers.get()
    return at_once(work) if helpers is None else helpers.pool.submit(work)


def at_once(work: Callable[[], Result]) -> "Future[Result]":
    """Do `work` now, and return its result as in_background() does."""
    done: Future[Result] = Future()
    done.set_result(work())
    return done
