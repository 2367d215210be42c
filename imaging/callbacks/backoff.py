"""When a callback that did not arrive is tried again."""

import random
from datetime import datetime, timedelta

WINDOW = timedelta(hours=24)
MINUTE, HOUR = 60, 3600
# Seconds after the first try, the second, and so on: quick while it may be a restart, then as rare as a long outage allows.
DELAYS = (
    10, 30, MINUTE, 2 * MINUTE, 5 * MINUTE, 15 * MINUTE, 30 * MINUTE,
    HOUR, 2 * HOUR, 3 * HOUR, 4 * HOUR, 5 * HOUR, 5 * HOUR,
)  # fmt: skip
# At most so much longer, at random: what failed together does not come back together. All of it fits into WINDOW.
JITTER = 0.1


def find_next_try(number: int, first: datetime, now: datetime) -> datetime | None:
    """The moment of the next try after the one of this number (from 1) failed; None when it was the last.

    No try is later than WINDOW after `first`, the moment of the first one.
    """
    if number > len(DELAYS):
        return None
    spread = 1 + random.uniform(0, JITTER)  # noqa: S311 - no secret
    moment = now + timedelta(seconds=DELAYS[number - 1] * spread)
    return moment if moment <= first + WINDOW else None
