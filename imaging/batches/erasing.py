"""Erases the images of a batch in the background. The task keeps the name under which it is queued."""

import uuid
from functools import partial

from celery import shared_task
from django.db import transaction

from imaging.batches import files


@shared_task(name="imaging.tasks.erase_pictures")  # type: ignore[untyped-decorator]
def erase_images(batch_id: str, folders: list[str]) -> None:
    """Erase a batch's images: `in` is the inputs, `out` the results. Without `out`, what is no item's result goes too."""
    files.erase(uuid.UUID(batch_id), tuple(folders))
    if "out" not in folders:
        files.erase_unused_results(uuid.UUID(batch_id))


def erase_later(batch_id: uuid.UUID, folders: list[str]) -> None:
    """The same, after the transaction commits."""
    transaction.on_commit(partial(erase_images.delay, str(batch_id), folders), robust=True)
