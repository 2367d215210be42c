"""Dispatches batch items: to Celery workers if there is a broker, else to the threads of this process.

A message may be lost with its broker. So a queued item records the time at which it is sent again (`leased_until`).
`resend` looks for items whose time has come, and for those whose worker has not renewed its lease.
"""

import logging
from collections.abc import Sequence
from datetime import timedelta
from functools import partial

from celery import current_app
from django.conf import settings
from django.db import transaction
from django.utils import timezone
from kombu.exceptions import OperationalError

from imaging.batches import leases
from imaging.models import BatchItem
from lib.ops import lifecycle

logger = logging.getLogger(__name__)

# A message still waiting in its queue is sent a second time after this long; the later one finds nothing to do.
RESEND = timedelta(minutes=15)
RESEND_AT_ONCE = 1000
# By name, because the task's module imports this one to schedule retries.
WORK_TASK = "imaging.tasks.work_on_batch_item"


def on_commit(items: Sequence[BatchItem]) -> None:
    """Dispatch these items after the commit. If the broker is down, the caller does not wait: `resend` finds them."""
    pks = [item.pk for item in items if item.state == BatchItem.State.QUEUED]
    if pks:
        transaction.on_commit(partial(_send_or_wake, pks), robust=True)


def send_later(pk: int, seconds: float) -> None:
    """Dispatch an item again after a delay. Without a broker, the threads find it automatically."""
    if settings.CELERY_BROKER_URL:
        _send([pk], countdown=seconds)


def resend() -> int:
    """Send lost items again. Returns how many. Only with a broker; threads poll the database."""
    if not settings.CELERY_BROKER_URL:
        return 0
    pks = leases.find_waiting(RESEND_AT_ONCE)
    _mark(pks)
    _send(pks)
    return len(pks)


def _send_or_wake(pks: Sequence[int]) -> None:
    if not settings.CELERY_BROKER_URL:
        lifecycle.wake("batches")
        return
    _mark(pks)
    _send(pks)


def _mark(pks: Sequence[int]) -> None:
    queued = BatchItem.objects.filter(pk__in=pks, state=BatchItem.State.QUEUED)
    queued.update(leased_until=timezone.now() + RESEND)


def _send(pks: Sequence[int], countdown: float | None = None) -> None:
    try:
        # One channel for all of them.
        with current_app.producer_or_acquire() as producer:
            for pk in pks:
                current_app.signature(WORK_TASK, [pk]).apply_async(countdown=countdown, producer=producer)
    except (OperationalError, OSError):
        logger.warning("the broker is away: images of batches are sent later", extra={"count": len(pks)})
