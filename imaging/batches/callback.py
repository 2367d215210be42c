"""Where batches meet callbacks: the address that a customer gives, and the moment to call it."""

from collections.abc import Sequence
from typing import Any

from django.db.models import prefetch_related_objects

from imaging import callbacks
from imaging.callbacks.addresses import FIELD, MAX_URL, find_problem, forbidden, invalid
from imaging.callbacks.describe import describe as describe_callback
from imaging.models import Batch

__all__ = ["FIELD", "MAX_URL", "batch_ended", "describe", "find_problem", "forbidden", "invalid", "look_up"]


def batch_ended(batch: Batch) -> None:
    """The batch has just become finished or cancelled. Called once for each, inside the transaction in which it did."""
    callbacks.announce(batch)


def look_up(batches: Sequence[Batch]) -> None:
    """Fetch the callbacks of all of these at once, for `describe`."""
    prefetch_related_objects(batches, "callback__attempts")


def describe(batch: Batch) -> dict[str, Any] | None:
    """What the API tells of the callback; None where there is none (yet)."""
    # Django raises for a missing one an error that is also an AttributeError.
    callback = getattr(batch, "callback", None)
    return describe_callback(callback) if callback else None
