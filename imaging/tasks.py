"""The module where Celery looks for the app's tasks: those of requests, and those of batches."""

from imaging.batches.tasks import erase_images, erase_orphans, work_on_batch_item
from imaging.executor import process  # noqa: F401 - connects itself to the worker's signals
from imaging.executor.tasks import cut_out, sweep_handover

__all__ = ["cut_out", "erase_images", "erase_orphans", "sweep_handover", "work_on_batch_item"]
