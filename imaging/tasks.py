"""Celery looks for an app's tasks here."""

from imaging.batches.tasks import erase_orphans, erase_pictures, work_on_batch_item

__all__ = ["erase_orphans", "erase_pictures", "work_on_batch_item"]
