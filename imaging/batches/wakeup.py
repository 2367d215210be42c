"""The signal to the threads of this process that there is work on batches."""

import threading

_work = threading.Event()


def wake() -> None:
    """There is work, or the process stops."""
    _work.set()


def clear() -> None:
    """About to look for work."""
    _work.clear()


def wait(seconds: float) -> None:
    """Wait for work, `seconds` at most."""
    _work.wait(seconds)
