"""Runs the work on a large image at a lower priority, so that it takes what processor time small ones leave."""

import contextvars
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import TypeVar

from django.db import connections

Result = TypeVar("Result")

# Linux gives a thread with this a tenth of the processor time of one without, where both want it.
NICENESS = 10


def run(work: Callable[[], Result]) -> Result:
    """What `work` returns or raises. It runs in a new thread: one without rights cannot raise its priority again.

    Elsewhere than on Linux the priority stays as it is.
    """
    future: Future[Result] = Future()
    context = contextvars.copy_context()
    thread = threading.Thread(target=context.run, args=[_work, work, future], name="large-image")
    thread.start()
    thread.join()
    return future.result()


def _work(work: Callable[[], Result], future: "Future[Result]") -> None:
    with suppress(OSError):
        # Linux takes the id of a thread here, and its children inherit the priority.
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
    try:
        future.set_result(work())
    except BaseException as error:
        future.set_exception(error)
    finally:
        # `still_wanted` may have asked the database.
        connections.close_all()
