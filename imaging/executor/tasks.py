"""Tasks that web processes send to workers of the queue `inference`."""

from celery import Task, shared_task
from django.conf import settings

from imaging.executor import payloads, worker
from imaging.executor.time_limits import ImageTask


@shared_task(bind=True, base=ImageTask, give_up=staticmethod(worker.give_up), name="imaging.tasks.cut_out")  # type: ignore[untyped-decorator]
def cut_out(self: Task, job_id: str) -> None:
    """Cut out the image of a job that a web process waits for. Repeated deliveries do no harm."""
    worker.work(job_id, redelivered=bool((self.request.delivery_info or {}).get("redelivered")))


@shared_task(name="imaging.tasks.sweep_handover")  # type: ignore[untyped-decorator]
def sweep_handover() -> None:
    """Remove images that killed processes left in the storage on the way to or from a worker."""
    if settings.IMAGING_HANDOVER == "storage":
        payloads.sweep()
