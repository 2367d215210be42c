"""Celery's part in batches. Tasks take ids; each may run twice, or late, without harm."""

import uuid

from celery import shared_task

from imaging.batches import expiry, files, work
from imaging.executor.time_limits import ImageTask


@shared_task(base=ImageTask, give_up=staticmethod(work.give_up_slow), name="imaging.tasks.work_on_batch_item")  # type: ignore[untyped-decorator]
def work_on_batch_item(pk: int) -> None:
    """Work on one picture."""
    work.work_on(pk)


@shared_task(name="imaging.tasks.erase_pictures")  # type: ignore[untyped-decorator]
def erase_pictures(batch_id: str, folders: list[str]) -> None:
    """Erase a batch's pictures: `in`, those that were sent; `out`, the results."""
    files.erase(uuid.UUID(batch_id), tuple(folders))


@shared_task(name="imaging.tasks.erase_orphans")  # type: ignore[untyped-decorator]
def erase_orphans() -> None:
    """Erase what a killed process left in storage."""
    expiry.erase_orphans()
