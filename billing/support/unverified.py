"""Removes accounts whose owner never followed the link in the mail, after a while, if nothing refers to them."""

import logging
from datetime import timedelta

from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import transaction
from django.db.models import Exists, OuterRef, ProtectedError, QuerySet
from django.utils import timezone

from accounts.models import ApiKey, User
from billing.models import Account, LedgerEntry, PackPurchase, RequestRecord, StripeCustomer, StripeEvent, Subscription

logger = logging.getLogger(__name__)

# Accounts per daily sweep. The rest wait for the next one.
MOST = 5_000
# Rows of an account that must be kept, or that show use.
_TRACES = (LedgerEntry, StripeCustomer, Subscription, PackPurchase, StripeEvent, RequestRecord)


def find() -> QuerySet[User]:
    """Customers who signed up UNVERIFIED_ACCOUNT_DAYS ago, never verified their address, and have used nothing."""
    limit = timezone.now() - timedelta(days=settings.UNVERIFIED_ACCOUNT_DAYS)
    users = User.objects.filter(
        email_verified_at=None, is_staff=False, is_superuser=False, is_active=True, last_login=None, date_joined__lt=limit
    )
    users = users.exclude(Exists(ApiKey.objects.filter(user=OuterRef("pk")).exclude(last_used_at=None)))
    for model in _TRACES:
        users = users.exclude(Exists(model._default_manager.filter(account__user=OuterRef("pk"))))
    return users


def remove() -> int:
    """Remove these accounts, each in a separate transaction. Returns how many."""
    numbers = list(find().order_by("date_joined").values_list("pk", flat=True)[:MOST])
    removed = sum(_remove(number) for number in numbers)
    if removed:
        logger.info("removed accounts that were never verified", extra={"count": removed})
    return removed


def _remove(number: int) -> bool:
    try:
        with transaction.atomic():
            # Under the row's lock: its owner may follow the link at the same moment.
            user = User.objects.select_for_update(no_key=True).filter(pk=number, email_verified_at=None).first()
            if user is None or not find().filter(pk=number).exists():
                return False
            # The admin's log keeps what staff did, but not to whom by name.
            of_user = LogEntry.objects.filter(content_type=ContentType.objects.get_for_model(User), object_id=str(number))
            of_user.update(object_repr="an account that was never verified")
            Account.objects.filter(user=user).delete()
            user.delete()
    except ProtectedError:
        # Another app's row refers to it: the account is not empty.
        logger.warning("an account that was never verified is still referred to", extra={"user": number})
        return False
    return True
