"""The payload of a callback: the same for every attempt, small, and without images."""

import json
from typing import Any

from django.conf import settings
from django.db.models import Count

from imaging.models import Batch, BatchItem


def body_of(batch: Batch) -> str:
    """The JSON of `batch.finished` or `batch.cancelled`."""
    ended = batch.finished_at or batch.created_at
    payload = {"type": f"batch.{batch.state}", "timestamp": ended.isoformat(), "data": _facts(batch)}
    return json.dumps(payload, separators=(",", ":"))


def _facts(batch: Batch) -> dict[str, Any]:
    return {
        "id": str(batch.id),
        "status": batch.state,
        "created_at": batch.created_at.isoformat(),
        "finished_at": batch.finished_at.isoformat() if batch.finished_at else None,
        "expires_at": batch.expires_at.isoformat(),
        "counts": _counts(batch),
        "status_url": f"{settings.PUBLIC_URL}/api/batches/{batch.id}",
        "zip_url": f"{settings.PUBLIC_URL}/api/batches/{batch.id}/zip",
    }


def _counts(batch: Batch) -> dict[str, int]:
    found = dict(batch.items.order_by().values_list("state").annotate(Count("pk")))
    ended = (BatchItem.State.DONE, BatchItem.State.FAILED, BatchItem.State.CANCELLED)
    return {"total": sum(found.values()), **{str(state): found.get(state, 0) for state in ended}}
