"""An account's Stripe customer, and the lease under which the account is synced with Stripe.

A sync has two steps. It reads Stripe outside any transaction, because Stripe may be slow; then one short transaction applies
the result. The lease serialises the syncs of an account. It is not a lock: it expires after LEASE, even if its process was
killed, and a sync that has lost it applies nothing and reads again. So every applied state was read after the previous one
was applied, and the order in which events arrive or are processed does not matter.
"""

import logging
import random
import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.db import DatabaseError, transaction
from django.db.models import Q
from django.utils import timezone

from billing.models import Account, StripeCustomer
from billing.payments import client as stripe_client
from billing.payments.client import PaymentRefused, PaymentUnavailable

logger = logging.getLogger(__name__)

# Applies a reading, in a transaction: takes the account as it is then, and returns what support has to look into, or an
# empty string.
Apply = Callable[[Account], str]
# Reads from Stripe, outside any transaction.
Read = Callable[[Account], Apply]
Finish = Callable[[str], None]

# Longer than one request to Stripe with its retries (see `stripe_client`). A sync that takes longer is repeated only if
# another one has begun meanwhile.
LEASE = timedelta(seconds=90)
# A sync is a few requests to Stripe, usually well below a second. Stripe and Celery retry an event that waited in vain.
WAIT_SECONDS = 20.0
POLL_SECONDS = 0.05, 0.15
# A reading that is out of date before it can be applied is read again, up to this many tries in all.
TRIES = 5


class OutOfDate(Exception):
    """The reading from Stripe may be older than the stored state: read it again."""


class PaymentAccountBusy(PaymentUnavailable):
    """Other syncs of the account left no turn to this one."""


class WrongCustomer(PaymentRefused):
    """A Stripe object belongs to another customer."""


def get_or_create(account: Account) -> str:
    """The account's customer id at Stripe, created on first use. Two simultaneous calls get the same one."""
    known = StripeCustomer.objects.filter(account=account).first()
    if known is None:
        made = stripe_client.get_client().create_customer(public_id=account.user.public_id, email=account.user.email)
        known, _ = StripeCustomer.objects.get_or_create(account=account, defaults={"stripe_id": made["id"]})
    return known.stripe_id


def find(customer_id: str) -> Account | None:
    """The account of a Stripe customer; None for a customer that is not ours."""
    return Account.objects.filter(stripe_customer__stripe_id=customer_id).first()


def sync(account: Account, read: Read, finish: Finish | None = None) -> str:
    """Sync an account with Stripe: `read`, then apply the result. Returns what support has to look into, or an empty string.

    `finish` gets that string in the transaction that applies the reading. Both may be called again after a rollback.
    Raises PaymentAccountBusy when other syncs of the account leave no turn, what `read` raises, and RuntimeError inside a
    transaction.
    """
    stripe_client.require_no_transaction()
    for _ in range(TRIES):
        lease = _take_lease(account)
        try:
            return _apply(account, lease, read(account), finish)
        except BaseException as error:
            _release(account, lease)
            if not isinstance(error, OutOfDate):
                raise
    raise PaymentAccountBusy


def require_owner(account: Account, remote: dict[str, Any]) -> None:
    """Raise WrongCustomer unless a Stripe object belongs to the account."""
    if not StripeCustomer.objects.filter(account=account, stripe_id=remote["customer"]).exists():
        raise WrongCustomer


@transaction.atomic
def _apply(account: Account, lease: uuid.UUID, apply: Apply, finish: Finish | None) -> str:
    # The lease ends here. Until the transaction ends, the row's lock keeps other syncs out. A rollback restores the lease.
    if not _end_lease(account, lease):
        raise OutOfDate
    flag = apply(Account.objects.select_related("user", "plan", "cycle").get(pk=account.pk))
    if finish is not None:
        finish(flag)
    return flag


def _take_lease(account: Account) -> uuid.UUID:
    """Wait for the account's lease and take it."""
    lease, deadline = uuid.uuid4(), time.monotonic() + WAIT_SECONDS
    while not _take(account, lease):
        if time.monotonic() >= deadline:
            raise PaymentAccountBusy
        time.sleep(random.uniform(*POLL_SECONDS))  # noqa: S311 - no secret
    return lease


def _take(account: Account, lease: uuid.UUID) -> bool:
    now = timezone.now()
    free = StripeCustomer.objects.filter(Q(leased_until=None) | Q(leased_until__lte=now), account=account)
    # Check before writing: on SQLite, waiting processes would take the write lock each time.
    if not free.exists():
        return False
    with transaction.atomic():
        return bool(free.update(lease=lease, leased_until=now + LEASE))


def _end_lease(account: Account, lease: uuid.UUID) -> bool:
    """Release the lease. False if another process holds it now."""
    ours = StripeCustomer.objects.filter(account=account, lease=lease)
    return bool(ours.update(lease=None, leased_until=None))


def _release(account: Account, lease: uuid.UUID) -> None:
    """Release the lease after a failure, so that the next sync need not wait for it to expire."""
    try:
        with transaction.atomic():
            _end_lease(account, lease)
    except DatabaseError:
        logger.warning("a lease for Stripe was not released", extra={"account": account.pk}, exc_info=True)
