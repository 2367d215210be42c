"""Retention: images for BATCH_HOURS, rows for REQUEST_LOG_DAYS, files that no row refers to for an hour."""

from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts.models import User
from imaging.batches import ends, files
from imaging.batches.erasing import erase_later
from imaging.models import Batch
from imaging.removal.cutouts import BACKGROUND_URL_FIELD

# An upload is complete before its first file is stored; storing 2 GB of files takes far less than this.
ORPHAN_AGE = timedelta(hours=1)
# Batches that one sweep erases; the next sweep is a minute later.
AT_ONCE = 200


def expire() -> int:
    """Cancel the open items of expired batches, and erase their images. Returns how many batches."""
    overdue = list(Batch.objects.filter(erased_at=None, expires_at__lte=timezone.now()).order_by("expires_at")[:AT_ONCE])
    for batch in overdue:
        ends.cancel(batch.pk)
        erase(batch)
    return len(overdue)


def erase(batch: Batch) -> None:
    """Erase a batch's images, then record it. If interrupted, a later sweep does it again."""
    files.erase(batch.pk)
    _note_erasure(batch)


def erase_inputs_later(batch: Batch) -> None:
    """Erase the inputs, and what no item keeps, once a cancellation is committed."""
    erase_later(batch.pk, ["in"])


def discard(batch: Batch) -> None:
    """The customer deletes the batch: cancel it and erase everything."""
    with transaction.atomic():
        ends.cancel(batch.pk)
        _note_erasure(batch)
        erase_later(batch.pk, list(files.FOLDERS))


def forget_old() -> int:
    """Delete the rows of batches older than REQUEST_LOG_DAYS; the ledger keeps its own. Returns how many batches."""
    limit = timezone.now() - timedelta(days=settings.REQUEST_LOG_DAYS)
    old = Batch.objects.filter(created_at__lt=limit).exclude(erased_at=None).order_by("created_at").values("pk")[:AT_ONCE]
    return Batch.objects.filter(pk__in=old).delete()[1].get("imaging.Batch", 0)


def forget_customer(user: User) -> None:
    """Erase all of the customer's data. Called in the transaction that deletes the account."""
    for batch in Batch.objects.filter(account__user=user):
        if batch.erased_at is None:
            discard(batch)
        batch.items.update(name="", source_url="")
    Batch.objects.filter(account__user=user).update(callback_url="", idempotency_key=None)


def erase_orphans() -> int:
    """Erase images that no batch refers to, or that were stored after their batch was erased. Returns how many batches."""
    limit, erased = timezone.now() - ORPHAN_AGE, 0
    kept = set(Batch.objects.filter(erased_at=None).values_list("pk", flat=True))
    for batch_id in files.batch_ids():
        if batch_id in kept:
            continue
        changed = files.last_change(batch_id)
        if changed is None or changed < limit:
            files.erase(batch_id)
            erased += 1
    return erased


def _note_erasure(batch: Batch) -> None:
    # An image's URL may contain a secret, and the image could be fetched again with it.
    batch.items.exclude(source_url="").update(source_url="")
    options = {name: text for name, text in batch.options.items() if name != BACKGROUND_URL_FIELD}
    Batch.objects.filter(pk=batch.pk, erased_at=None).update(erased_at=timezone.now(), options=options)
