"""Work on a clock (Celery beat). Each may run twice or late without harm."""

import logging
from datetime import timedelta

from celery import shared_task
from django.utils import timezone

from billing import idempotency, ledger
from billing.models import AnonymousUsage

logger = logging.getLogger(__name__)

# Long enough to look into yesterday's complaints.
ANONYMOUS_DAYS = 7


@shared_task  # type: ignore[untyped-decorator]
def sweep() -> None:
    """Void holds that a killed process left behind, and forget what no retry or limit can refer to any more."""
    voided = ledger.void_stale()
    idempotency.forget_old()
    AnonymousUsage.objects.filter(day__lt=timezone.now().date() - timedelta(days=ANONYMOUS_DAYS)).delete()
    if voided:
        logger.warning("voided stale holds", extra={"count": voided})
