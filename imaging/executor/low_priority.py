"""Runs the work on a large image at low priority, so it takes only the processor time that small ones leave."""

import contextvars
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import TypeVar

from django.db import connections

Result = TypeVar("Result")

# Linux gives a thread with this niceness a tenth of the processor time of one without, when both compete.
NICENESS = 10


def run(work: Callable[[], Result]) -> Result:
    """Return or raise what `work` does. It runs in a new thread: an unprivileged one cannot raise its priority again.

    On other systems than Linux the priority does not change.
    """
    future: Future[Result] = Future()
    context = contextvars.copy_context()
    thread = threading.Thread(target=context.run, args=[_work, work, future], name="large-image")
    thread.start()
    thread.join()
    return future.result()


def _work(work: Callable[[], Result], future: "Future[Result]") -> None:
    with suppress(OSError):
        # Linux accepts a thread's id here, and the thread's children inherit the priority.
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
    try:
        future.set_result(work())
    except BaseException as error:
        future.set_exception(error)
    finally:
        # `still_wanted` may have queried the database.
        connections.close_all()
