"""Celery tasks of callbacks: scheduled sweeps and single attempts. Each may run twice or late without harm."""

from uuid import UUID

from celery import shared_task
from django.utils import timezone

from imaging.callbacks import delivery

# How many callbacks one sweep queues; the next sweep follows in seconds.
SWEEP_LIMIT = 200
# A task that waited longer is not needed: a later sweep has queued the callback again.
EXPIRES_SECONDS = 60


@shared_task  # type: ignore[untyped-decorator]
def try_callback(pk: str) -> None:
    """Try one callback, if it is still due."""
    delivery.try_once(UUID(pk))


@shared_task  # type: ignore[untyped-decorator]
def sweep_callbacks() -> None:
    """Queue an attempt of every due callback: for a retry, or because its task or worker was lost."""
    for pk in delivery.due(timezone.now()).values_list("pk", flat=True)[:SWEEP_LIMIT]:
        try_callback.apply_async((str(pk),), expires=EXPIRES_SECONDS)
