"""Limits the time spent on an image and detects a caller who has disconnected; checked between the steps of the work."""

import time
from collections.abc import Callable

from imaging.core.problems import CallerGone, ImageRefused, too_slow

# A check may cost a round trip to Redis or to the database.
CHECK_SECONDS = 0.25


class Watch:
    """Starts with the work. Steps in C are not interrupted: long ones run in a child process (`codecs.apart`)."""

    def __init__(self, seconds: float | None = None, still_wanted: Callable[[], bool] | None = None) -> None:
        """Allow at most `seconds` of work, no limit by default; `still_wanted` returns False once the caller disconnects."""
        self.seconds = seconds
        self._deadline = None if seconds is None else time.monotonic() + seconds
        self._still_wanted = still_wanted
        self._next_check = 0.0

    @property
    def remaining(self) -> float | None:
        """Seconds until the deadline, at least zero; None without one."""
        return None if self._deadline is None else max(0.0, self._deadline - time.monotonic())

    def check(self) -> None:
        """Raise ImageRefused `image_too_slow` after the deadline, CallerGone once the caller has disconnected.

        Cheap enough to be called for every block that is read: `still_wanted` is called at most every CHECK_SECONDS.
        """
        now = time.monotonic()
        if self._deadline is not None and self.seconds is not None and now >= self._deadline:
            raise ImageRefused(too_slow(self.seconds))
        if self._still_wanted is not None and now >= self._next_check:
            self._next_check = now + CHECK_SECONDS
            if not self._still_wanted():
                raise CallerGone
