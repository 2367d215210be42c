"""How a picture of a batch ends, and how the batch does. Each end is one transaction together with its credit.

Rows are locked in one order: items, then their holds with what the ledger locks, then the batch.
"""

import uuid
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from billing.credits import ledger
from billing.metrics import CREDITS
from imaging.batches import callback
from imaging.core.pipeline import Cutout
from imaging.models import Batch, BatchItem
from lib.web.errors import ApiError

State = BatchItem.State
MAX_ERROR = 500


def shortened(text: str) -> str:
    """A text as the column holds it."""
    return text if len(text) <= MAX_ERROR else text[: MAX_ERROR - 1] + "…"


@transaction.atomic
def deliver(item: BatchItem, cutout: Cutout) -> bool:
    """The result is in storage: the picture is done and its credit spent. False if it had ended before, or been given up.

    Of two who worked on it one gets here first; `attempts` tells whose result it is.
    """
    facts = {
        "attempts": item.attempts, "media_type": cutout.media_type, "result_size": cutout.size,
        "width": cutout.width, "height": cutout.height, "model": cutout.model,
    }  # fmt: skip
    if not _end(item, State.DONE, **facts):
        return False
    posted = _post(item)
    end_batch_if_last(item.batch_id)
    return posted


@transaction.atomic
def fail(item: BatchItem, code: str, error: str) -> bool:
    """There will be no result, and the credit is free again. False if it had ended before."""
    if not _end(item, State.FAILED, code=code, error=shortened(error)):
        return False
    if item.hold is not None and ledger.void(item.hold):
        _count("voided")
    end_batch_if_last(item.batch_id)
    return True


@transaction.atomic
def cancel(batch_id: uuid.UUID) -> bool:
    """End everything of the batch that has not ended, at no cost. False if it had ended before.

    What is being worked on counts as cancelled at once; whoever does so will find that nobody wants the result.
    """
    still_open = BatchItem.objects.filter(batch=batch_id, state__in=BatchItem.OPEN)
    items = still_open.select_for_update(no_key=True).order_by("pk")
    found = list(items.values_list("pk", "hold_id"))
    BatchItem.objects.filter(pk__in=[pk for pk, _ in found]).update(state=State.CANCELLED, finished_at=timezone.now())
    _count("voided", ledger.void_many([hold for _, hold in found if hold is not None]))
    return _end_batch(batch_id, Batch.State.CANCELLED)


def end_batch_if_last(batch_id: uuid.UUID) -> None:
    """The batch is finished once none of its pictures is open. Inside the transaction in which one has ended."""
    _end_batch(batch_id, Batch.State.FINISHED)


def put_back(item: BatchItem, seconds: float, *, counted: bool) -> bool:
    """Give the lease back, for another try in `seconds`; `counted` tells whether this one was a try.

    False if the picture is not ours any more.
    """
    return bool(
        BatchItem.objects.filter(pk=item.pk, state=State.RUNNING, attempts=item.attempts).update(
            state=State.QUEUED,
            leased_until=timezone.now() + timedelta(seconds=seconds),
            attempts=item.attempts - (not counted),
        )
    )


def refusal_of(error: ApiError) -> str:
    """The text of an error, all problems in one."""
    return " ".join(problem["message"] for problem in error.details) or error.message


def _post(item: BatchItem) -> bool:
    """Spend the item's credit, or another one if that was voided meanwhile. Without any, the item has failed: False."""
    assert item.hold is not None  # noqa: S101 - every open item has one
    if not ledger.post(item.hold):
        try:
            again = ledger.hold_again(item.hold)
        except ApiError as error:
            facts = {"code": error.code, "error": shortened(error.message), "result_size": 0}
            BatchItem.objects.filter(pk=item.pk).update(state=State.FAILED, **facts)
            return False
        BatchItem.objects.filter(pk=item.pk).update(hold=again)
        _count("held")
    _count("posted")
    return True


def _end(item: BatchItem, state: State, **facts: Any) -> bool:
    still_open = BatchItem.objects.filter(pk=item.pk, state__in=BatchItem.OPEN)
    return bool(still_open.update(state=state, finished_at=timezone.now(), leased_until=None, **facts))


def _end_batch(batch_id: uuid.UUID, state: Batch.State) -> bool:
    # Locked, so that of two last pictures one sees that the other has ended.
    batch = Batch.objects.select_for_update(no_key=True).get(pk=batch_id)
    if batch.state != Batch.State.PROCESSING or batch.items.filter(state__in=BatchItem.OPEN).exists():
        return False
    batch.state, batch.finished_at = state, timezone.now()
    batch.save(update_fields=["state", "finished_at"])
    callback.batch_ended(batch)
    return True


def _count(movement: str, credits: int = 1) -> None:
    transaction.on_commit(lambda: CREDITS.labels(movement).inc(credits))
