"""Scheduled tasks (Celery beat). Each may run twice or late without harm."""

import logging
from collections.abc import Callable
from datetime import timedelta
from functools import partial

from celery import shared_task
from django.db import transaction
from django.utils import timezone

from accounts import chores
from accounts.models import User
from accounts.tasks import clear_sessions
from billing.credits import idempotency, ledger
from billing.dashboard import request_log
from billing.models import AnonymousUsage
from billing.payments.tasks import process_stripe_event
from billing.support import unverified

__all__ = ["forget_requests", "process_stripe_event", "sweep"]

logger = logging.getLogger(__name__)

# Long enough to look into yesterday's complaints.
ANONYMOUS_DAYS = 7
# The chore that several processes may do, and how long until it is due again: slightly longer than beat's interval, so that
# web processes step in only when beat does not run.
SWEEP = "sweep"
SWEEP_PAUSE = timedelta(seconds=90)


_sweepers: list[Callable[[], object]] = []


def register_sweeper(sweeper: Callable[[], object]) -> None:
    """Register an app's cleanup to run with billing's sweep."""
    _sweepers.append(sweeper)


@shared_task  # type: ignore[untyped-decorator]
def sweep() -> None:
    """Void holds that a killed process left behind, and delete what retries and limits no longer need."""
    voided = ledger.void_stale()
    idempotency.forget_old()
    request_log.forget_old()
    AnonymousUsage.objects.filter(day__lt=timezone.now().date() - timedelta(days=ANONYMOUS_DAYS)).delete()
    if voided:
        logger.warning("voided stale holds", extra={"count": voided})
    for sweeper in _sweepers:
        sweeper()
    # Whatever started this sweep, processes that check whether one is due must see that it is done.
    chores.put_off(SWEEP, SWEEP_PAUSE)
    if chores.take("daily", timedelta(days=1)):
        sweep_daily()


def sweep_daily() -> None:
    """Delete expired sessions and accounts that were never verified."""
    clear_sessions()
    unverified.remove()


@shared_task  # type: ignore[untyped-decorator]
def forget_requests(user_pk: int) -> None:
    """Delete the request records of a customer who has left."""
    request_log.forget_customer(user_pk)


def forget_requests_on_commit(user: User) -> None:
    """Queue `forget_requests` once the deletion of the customer's account commits."""
    transaction.on_commit(partial(forget_requests.delay, user.pk), robust=True)
