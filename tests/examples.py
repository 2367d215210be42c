"""How many examples hypothesis draws: few by default, ten times as many with EXHAUSTIVE=1, the same ones in each run."""

import os
from typing import Any

from hypothesis import settings

# `make test-all`: every combination and more examples; the default runs those that find different things.
EXHAUSTIVE = os.environ.get("EXHAUSTIVE") == "1"


def examples(number: int, **more: Any) -> settings:
    """Settings of a test: `number` examples by default; `more` are hypothesis' settings."""
    return settings(max_examples=10 * number if EXHAUSTIVE else number, **more)


settings.register_profile("suite", derandomize=True, database=None, deadline=None)
settings.load_profile("suite")
settings.register_profile("suite", examples(40))
settings.load_profile("suite")
