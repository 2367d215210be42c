"""Batches at the support desk."""

import uuid

from django.urls import reverse

from billing.support.search import Hit
from imaging.models import Batch


def find_batch(term: str) -> list[Hit]:
    """The batch of this id."""
    batch_id = find_id(term)
    if batch_id is None:
        return []
    return [_hit(batch) for batch in Batch.objects.filter(pk=batch_id).select_related("account__user")]


def find_id(term: str) -> uuid.UUID | None:
    """The id that a text is."""
    try:
        return uuid.UUID(term)
    except ValueError:
        return None


def _hit(batch: Batch) -> Hit:
    url = reverse("admin:imaging_batch_change", args=[batch.pk])
    return Hit(batch.account.user.email, f"batch, {batch.state}", url, batch.account_id)
