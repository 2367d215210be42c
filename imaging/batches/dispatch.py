"""Tells those who work that there is work: Celery's workers where there is a broker, else the threads of this process.

A message may be lost with its broker. So a queued picture is marked with the time when it is sent again (`leased_until`),
and `resend` looks for those whose time has come, as for those whose worker has not renewed its lease.
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

# A message that still waits in its queue is sent a second time after this long; the one that comes late finds nothing to do.
RESEND = timedelta(minutes=15)
RESEND_AT_ONCE = 1000
# By its name: the task schedules what is to be tried again, and so knows this module.
WORK_TASK = "imaging.tasks.work_on_batch_item"


def on_commit(items: Sequence[BatchItem]) -> None:
    """Have these worked on once they are committed. A broker that is away keeps nobody waiting: `resend` finds them."""
    pks = [item.pk for item in items if item.state == BatchItem.State.QUEUED]
    if pks:
        transaction.on_commit(partial(_send_or_wake, pks), robust=True)


def send_later(pk: int, seconds: float) -> None:
    """Have one worked on again in a while. A thread of ours comes by by itself."""
    if settings.CELERY_BROKER_URL:
        _send([pk], countdown=seconds)


def resend() -> int:
    """Send what was lost. Returns how many. Only with a broker; threads look for themselves."""
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
        logger.warning("the broker is away: pictures of batches are sent later", extra={"count": len(pks)})
