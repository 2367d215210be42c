"""When a callback that failed is retried."""

import random
from datetime import datetime, timedelta

WINDOW = timedelta(hours=24)
MINUTE, HOUR = 60, 3600
# Seconds after the first attempt, the second, and so on: soon while it may be a restart, then less often for a long outage.
DELAYS = (
    10, 30, MINUTE, 2 * MINUTE, 5 * MINUTE, 15 * MINUTE, 30 * MINUTE,
    HOUR, 2 * HOUR, 3 * HOUR, 4 * HOUR, 5 * HOUR, 5 * HOUR,
)  # fmt: skip
# Each delay is longer by a random share of up to this, so that callbacks that failed together are not retried together.
# All of it fits into WINDOW.
JITTER = 0.1


def find_next_try(number: int, first: datetime, now: datetime) -> datetime | None:
    """When to retry after attempt `number` (from 1) failed; None if it was the last.

    No attempt is later than WINDOW after `first`, the time of the first one.
    """
    if number > len(DELAYS):
        return None
    spread = 1 + random.uniform(0, JITTER)  # noqa: S311 - no secret
    moment = now + timedelta(seconds=DELAYS[number - 1] * spread)
    return moment if moment <= first + WINDOW else None
