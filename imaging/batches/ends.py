"""How a batch item ends, and how the batch does. Each ending is one transaction with its hold.

Rows are locked in one order: items, then their holds and what the ledger locks, then the batch.
"""

import uuid
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from billing.credits import ledger
from billing.credits.refusals import HoldExpired
from billing.metrics import count
from imaging import callbacks
from imaging.core.pipeline import Cutout
from imaging.models import Batch, BatchItem
from lib.web.errors import get_reason

State = BatchItem.State
MAX_ERROR = 500


def shortened(text: str) -> str:
    """The text, truncated to fit the column."""
    return text if len(text) <= MAX_ERROR else text[: MAX_ERROR - 1] + "…"


@transaction.atomic
def deliver(item: BatchItem, cutout: Cutout) -> bool:
    """The result is in storage: mark the item done and post its hold. False if it had ended or been given up already.

    If two workers processed the item, the first one wins; `attempts` records whose result it is.
    """
    facts = {
        "attempts": item.attempts, "media_type": cutout.media_type, "result_size": cutout.size,
        "width": cutout.width, "height": cutout.height, "model": cutout.model,
        "confidence": cutout.confidence,
        "foreground": cutout.foreground,
    }  # fmt: skip
    if not _end(item, State.DONE, **facts):
        return False
    posted = _post(item)
    end_batch_if_last(item.batch_id)
    return posted


@transaction.atomic
def fail(item: BatchItem, code: str, error: str) -> bool:
    """There will be no result: void the hold. False if the item had ended already."""
    if not _end(item, State.FAILED, code=code, error=shortened(error)):
        return False
    if item.hold is not None and ledger.void(item.hold):
        _count("voided", item.hold.price)
    end_batch_if_last(item.batch_id)
    return True


@transaction.atomic
def cancel(batch_id: uuid.UUID) -> bool:
    """Cancel all open items of the batch, at no cost. False if the batch had ended already.

    Items being worked on count as cancelled at once; their workers will find that the result is no longer wanted.
    """
    still_open = BatchItem.objects.filter(batch=batch_id, state__in=BatchItem.OPEN)
    items = still_open.select_for_update(no_key=True).order_by("pk")
    found = list(items.values_list("pk", "hold_id"))
    BatchItem.objects.filter(pk__in=[pk for pk, _ in found]).update(state=State.CANCELLED, finished_at=timezone.now())
    voided = ledger.void_many([hold for _, hold in found if hold is not None])
    _count("voided", sum(held.price for held in voided))
    return _end_batch(batch_id, Batch.State.CANCELLED)


def end_batch_if_last(batch_id: uuid.UUID) -> None:
    """Finish the batch if none of its items is open. Called in the transaction that ends an item."""
    _end_batch(batch_id, Batch.State.FINISHED)


def put_back(item: BatchItem, seconds: float, *, counted: bool) -> bool:
    """Release the lease, for a retry in `seconds`; `counted` is whether this attempt counts.

    False if the caller no longer holds the lease.
    """
    return bool(
        BatchItem.objects.filter(pk=item.pk, state=State.RUNNING, attempts=item.attempts).update(
            state=State.QUEUED,
            leased_until=timezone.now() + timedelta(seconds=seconds),
            attempts=item.attempts - (not counted),
        )
    )


def _post(item: BatchItem) -> bool:
    """Post the item's hold, or a new one if it was voided meanwhile. If there is no credit, the item fails: False."""
    assert item.hold is not None  # noqa: S101 - every open item has one
    if not ledger.post(item.hold):
        try:
            again = ledger.hold_again(item.hold)
        except HoldExpired as expired:
            reason = get_reason(expired)
            facts = {"code": reason.code, "error": shortened(reason.message), "result_size": 0}
            BatchItem.objects.filter(pk=item.pk).update(state=State.FAILED, **facts)
            return False
        BatchItem.objects.filter(pk=item.pk).update(hold=again)
        _count("held", again.price)
    _count("posted", item.hold.price)
    return True


def _end(item: BatchItem, state: State, **facts: Any) -> bool:
    still_open = BatchItem.objects.filter(pk=item.pk, state__in=BatchItem.OPEN)
    return bool(still_open.update(state=state, finished_at=timezone.now(), leased_until=None, **facts))


def _end_batch(batch_id: uuid.UUID, state: Batch.State) -> bool:
    # Locked, so that if the last two items end at once, one sees that the other has ended.
    batch = Batch.objects.select_for_update(no_key=True).get(pk=batch_id)
    if batch.state != Batch.State.PROCESSING or batch.items.filter(state__in=BatchItem.OPEN).exists():
        return False
    batch.state, batch.finished_at = state, timezone.now()
    batch.save(update_fields=["state", "finished_at"])
    # Once for each batch, in the transaction that ends it.
    callbacks.announce(batch)
    return True


def _count(movement: str, amount: int) -> None:
    transaction.on_commit(lambda: count(amount, movement))
