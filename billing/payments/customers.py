"""Who an account is at Stripe, and the lease under which it is moved to Stripe's state.

A move has two steps. Stripe is read without any transaction, however slowly it answers; then one short transaction applies
what was read. The lease makes moves of one account take turns. It is no lock: it ends after LEASE, also when its process was
killed, and a move that has lost it applies nothing and reads again. So what is applied was always read after whatever was
applied before, and the order in which events arrive or are processed makes no difference.
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
from lib.web.errors import ApiError, from_status

logger = logging.getLogger(__name__)

# What applies a reading, in a transaction: it takes the account as it is then, and returns what support has to look into, or
# an empty text.
Apply = Callable[[Account], str]
# Reads from Stripe, outside of any transaction.
Read = Callable[[Account], Apply]
Finish = Callable[[str], None]

# Longer than one request to Stripe with its retries (see `stripe_client`). A move that takes longer is done again only if
# another one has begun meanwhile.
LEASE = timedelta(seconds=90)
# A move is a few requests to Stripe, mostly well below a second. Stripe and Celery try an event again that waited in vain.
WAIT_SECONDS = 20.0
POLL_SECONDS = 0.05, 0.15
# Each time that a reading is out of date before it can be applied, it is read again.
TRIES = 5


class OutOfDate(Exception):
    """What was read from Stripe may be older than what is stored by now: read it again."""


def get_or_create(account: Account) -> str:
    """The account's customer id at Stripe; made there on first use. Of two at the same time, both get the same one."""
    known = StripeCustomer.objects.filter(account=account).first()
    if known is None:
        made = stripe_client.get_client().create_customer(public_id=account.user.public_id, email=account.user.email)
        known, _ = StripeCustomer.objects.get_or_create(account=account, defaults={"stripe_id": made["id"]})
    return known.stripe_id


def find(customer_id: str) -> Account | None:
    """The account of a customer of Stripe's; None for a customer that is not ours."""
    return Account.objects.filter(stripe_customer__stripe_id=customer_id).first()


def move(account: Account, read: Read, finish: Finish | None = None) -> str:
    """Move an account to Stripe's state: `read` it, and apply that. Returns what support has to look into, or an empty text.

    `finish` gets that text in the transaction that applies the reading. Both may be called again, after a rollback.
    Raises ApiError 503 `payment_account_busy` when other moves of the account leave no turn, and what `read` raises;
    RuntimeError inside a transaction.
    """
    stripe_client.require_no_transaction()
    for _ in range(TRIES):
        lease = _take_lease(account)
        try:
            return _apply(account, lease, read(account), finish)
        except BaseException as error:
            _give_back(account, lease)
            if not isinstance(error, OutOfDate):
                raise
    raise ApiError("payment_account_busy")


def require_owner(account: Account, remote: dict[str, Any]) -> None:
    """Raise ApiError 404 unless an object of Stripe's is the account's own."""
    if not StripeCustomer.objects.filter(account=account, stripe_id=remote["customer"]).exists():
        raise from_status(404)


@transaction.atomic
def _apply(account: Account, lease: uuid.UUID, apply: Apply, finish: Finish | None) -> str:
    # The lease ends here; until the transaction does, the row's lock keeps other moves out. A rollback restores it.
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
            raise ApiError("payment_account_busy")
        time.sleep(random.uniform(*POLL_SECONDS))  # noqa: S311 - no secret
    return lease


def _take(account: Account, lease: uuid.UUID) -> bool:
    now = timezone.now()
    free = StripeCustomer.objects.filter(Q(leased_until=None) | Q(leased_until__lte=now), account=account)
    # Looked at before it is written to: on SQLite those who wait would take the write lock each time.
    if not free.exists():
        return False
    with transaction.atomic():
        return bool(free.update(lease=lease, leased_until=now + LEASE))


def _end_lease(account: Account, lease: uuid.UUID) -> bool:
    """False if it is not ours any more."""
    ours = StripeCustomer.objects.filter(account=account, lease=lease)
    return bool(ours.update(lease=None, leased_until=None))


def _give_back(account: Account, lease: uuid.UUID) -> None:
    """After a failure: the next move need not wait until the lease ends."""
    try:
        with transaction.atomic():
            _end_lease(account, lease)
    except DatabaseError:
        logger.warning("a lease for Stripe was not given back", extra={"account": account.pk}, exc_info=True)
