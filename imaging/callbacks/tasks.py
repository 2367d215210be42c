"""Callbacks on a clock and on workers. Each task may run twice or late without harm."""

from uuid import UUID

from celery import shared_task
from django.utils import timezone

from imaging.callbacks import delivery

# What one sweep hands out; the next one comes in seconds.
SWEEP_LIMIT = 200
# A task that waited for longer is not needed: a later sweep has asked again.
EXPIRES_SECONDS = 60


@shared_task  # type: ignore[untyped-decorator]
def try_callback(pk: str) -> None:
    """Try one callback, if it is still due."""
    delivery.try_once(UUID(pk))


@shared_task  # type: ignore[untyped-decorator]
def sweep_callbacks() -> None:
    """Ask for a try of every callback that is due: for the next time, or because its task or its worker was lost."""
    for pk in delivery.due(timezone.now()).values_list("pk", flat=True)[:SWEEP_LIMIT]:
        try_callback.apply_async((str(pk),), expires=EXPIRES_SECONDS)
