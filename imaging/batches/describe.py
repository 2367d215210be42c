"""A batch as the API tells it."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db.models import Count
from django.urls import reverse

from imaging.batches import callback
from imaging.models import Batch, BatchItem

State = BatchItem.State


def describe(batch: Batch, base_url: str, *, with_items: bool = True) -> dict[str, Any]:
    """One batch, with its pictures or without. `base_url` is what addresses begin with."""
    items = list(batch.items.order_by("position")) if with_items else None
    counts = Counter(item.state for item in items) if items is not None else _counts([batch])[batch.pk]
    told = _summary(batch, counts, base_url)
    if items is not None:
        told["items"] = [_item(batch, item, base_url) for item in items]
    return told


def describe_many(batches: Sequence[Batch], base_url: str) -> list[dict[str, Any]]:
    """Batches without their pictures."""
    counts = _counts(batches)
    callback.look_up(batches)
    return [_summary(batch, counts[batch.pk], base_url) for batch in batches]


def _counts(batches: Iterable[Batch]) -> dict[UUID, Counter[str]]:
    """How many pictures of each batch are in which state."""
    batches = list(batches)
    found: dict[UUID, Counter[str]] = {batch.pk: Counter() for batch in batches}
    rows = BatchItem.objects.filter(batch__in=batches).order_by().values_list("batch", "state").annotate(Count("pk"))
    for batch_id, state, number in rows:
        found[batch_id][state] = number
    return found


def _summary(batch: Batch, counts: Mapping[str, int], base_url: str) -> dict[str, Any]:
    has_zip = counts.get(State.DONE, 0) > 0 and batch.erased_at is None
    return {
        "id": str(batch.pk),
        "status": batch.state,
        "url": base_url + reverse("batch", args=[batch.pk]),
        "created_at": batch.created_at,
        "finished_at": batch.finished_at,
        "expires_at": batch.expires_at,
        "erased_at": batch.erased_at,
        "counts": {"total": sum(counts.values())} | {state.value: counts.get(state, 0) for state in State},
        # Each open picture has one credit on hold, each one that is done has cost it.
        "credits": {"held": sum(counts.get(state, 0) for state in BatchItem.OPEN), "charged": counts.get(State.DONE, 0)},
        "options": batch.options,
        "callback_url": batch.callback_url or None,
        "callback": callback.describe(batch),
        "zip_url": base_url + reverse("batch-zip", args=[batch.pk]) if has_zip else None,
    }


def _item(batch: Batch, item: BatchItem, base_url: str) -> dict[str, Any]:
    is_there = item.state == State.DONE and batch.erased_at is None
    address = reverse("batch-item", args=[batch.pk, item.position])
    return {
        "index": item.position,
        "name": item.name,
        "image_url": item.source_url or None,
        "status": item.state,
        "code": item.code or None,
        "error": item.error or None,
        "width": item.width or None,
        "height": item.height or None,
        "bytes": item.result_size or None,
        "model": item.model or None,
        "result_url": base_url + address if is_there else None,
    }
