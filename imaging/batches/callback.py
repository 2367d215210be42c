"""Where batches meet callbacks: the address that a customer gives, and the moment to call it."""

from typing import Any

from imaging import callbacks
from imaging.callbacks.addresses import FIELD, MAX_URL, find_problem, invalid
from imaging.callbacks.describe import describe as describe_callback
from imaging.models import Batch, Callback

__all__ = ["FIELD", "MAX_URL", "batch_ended", "describe", "find_problem", "invalid"]


def batch_ended(batch: Batch) -> None:
    """The batch has just become finished or cancelled. Called once for each, inside the transaction in which it did."""
    callbacks.announce(batch)


def describe(batch: Batch) -> dict[str, Any] | None:
    """What the API tells of the callback; None where there is none (yet)."""
    callback = Callback.objects.filter(batch=batch).first()
    return describe_callback(callback) if callback else None
