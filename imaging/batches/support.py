"""Finds batches for support staff."""

import uuid

from django.db.models import Q
from django.urls import reverse

from billing.support.search import LIMIT, Hit
from imaging.models import Batch


def find_batch(term: str) -> list[Hit]:
    """The batch with this id, or those created by requests with this id, as callers may choose request ids."""
    asked = Q(request_id=term)
    if batch_id := find_id(term):
        asked |= Q(pk=batch_id)
    return [_hit(batch) for batch in Batch.objects.filter(asked).select_related("account__user")[:LIMIT]]


def find_id(term: str) -> uuid.UUID | None:
    """The text as an id; None if it is not one."""
    try:
        return uuid.UUID(term)
    except ValueError:
        return None


def _hit(batch: Batch) -> Hit:
    url = reverse("admin:imaging_batch_change", args=[batch.pk])
    return Hit(batch.account.user.email, f"batch, {batch.state}", url, batch.account_id)
