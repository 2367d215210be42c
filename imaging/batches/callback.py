"""What batches use of callbacks: the URL that a customer gives, and the moment to call it."""

from imaging import callbacks
from imaging.callbacks.addresses import FIELD, MAX_URL, find_problem, forbidden, invalid
from imaging.models import Batch

__all__ = ["FIELD", "MAX_URL", "batch_ended", "find_problem", "forbidden", "invalid"]


def batch_ended(batch: Batch) -> None:
    """The batch has just become finished or cancelled. Called once per batch, in the same transaction."""
    callbacks.announce(batch)
