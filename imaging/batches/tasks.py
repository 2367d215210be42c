"""Celery tasks of batches. They take ids; each may run twice, or late, without harm."""

from celery import shared_task

from imaging.batches import dispatch, expiry, work
from imaging.batches.erasing import erase_images
from imaging.batches.work import RETRY_SECONDS, Verdict
from imaging.executor.time_limits import ImageTask

__all__ = ["erase_images", "erase_orphans", "work_on_batch_item"]


@shared_task(base=ImageTask, give_up=staticmethod(work.give_up_slow), name="imaging.tasks.work_on_batch_item")  # type: ignore[untyped-decorator]
def work_on_batch_item(pk: int) -> None:
    """Process one image."""
    if work.work_on(pk) is Verdict.AGAIN:
        dispatch.send_later(pk, RETRY_SECONDS)


@shared_task(name="imaging.tasks.erase_orphans")  # type: ignore[untyped-decorator]
def erase_orphans() -> None:
    """Erase files that a killed process left in storage."""
    expiry.erase_orphans()
