"""Stripe's events: each is stored once by its id, then processed by one short handler.

An event is only a signal. A handler reads the event's object again and leaves the rest to `subscriptions` or `purchases`, so
order and repetition do not matter. Stripe is called outside any transaction: see `stripe_customers.sync`.
"""

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from django.db import transaction
from django.utils import timezone

from billing.models import Account, StripeEvent
from billing.payments import client as stripe_client
from billing.payments import customers as stripe_customers
from billing.payments import purchases, subscriptions
from billing.payments.client import PaymentObjectUnknown
from billing.payments.customers import Apply
from lib.web.errors import find_translation
from lib.web.texts import is_storable

logger = logging.getLogger(__name__)

# Takes the account and the id of the event's object, calls Stripe, and returns the function that applies the response.
Handler = Callable[[Account, str], Apply]


class InvalidEvent(Exception):
    """The value of the event's `name`, a column's name, cannot be stored."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def receive(event: dict[str, Any]) -> StripeEvent:
    """Store an event once, with its object's id and without its payload. Raises InvalidEvent."""
    subject = event["data"]["object"]
    customer = subject["id"] if subject.get("object") == "customer" else subject.get("customer")
    values = {
        "stripe_id": event["id"],
        "type": event["type"],
        "object_id": subject.get("id") or "",
        "customer_id": customer or "",
        "is_live_mode": event["livemode"],
    }
    _check(values)
    stored, _ = StripeEvent.objects.get_or_create(stripe_id=values.pop("stripe_id"), defaults=values)
    return stored


def _check(values: dict[str, Any]) -> None:
    """Raise InvalidEvent unless the columns can hold all values."""
    for name, value in values.items():
        length = getattr(StripeEvent._meta.get_field(name), "max_length", None)
        if not (isinstance(value, bool) if length is None else isinstance(value, str) and is_storable(value, length)):
            raise InvalidEvent(name)


def process(pk: int, *, again: bool = False) -> bool:
    """Process a stored event once; with `again`, also a finished one. Records a failure and returns False."""
    try:
        event = StripeEvent.objects.get(pk=pk)
        if event.is_open or again:
            _process(event, again)
    except Exception as error:
        # Whatever failed, nothing was written: a later try starts over.
        logger.exception("Stripe event failed", extra={"event": pk})
        _record_failure(pk, error)
        return False
    return True


def _process(event: StripeEvent, again: bool) -> None:
    handler = HANDLERS.get(event.type)
    if handler is None:
        _finish(event, again, "", done=StripeEvent.Status.IGNORED)
        return
    event.customer_id = event.customer_id or _find_customer(event)
    event.account = stripe_customers.find(event.customer_id)
    if event.account is None:
        _finish(event, again, f"unknown customer '{event.customer_id}'")
        return
    try:
        stripe_customers.sync(event.account, partial(_read, event, again, handler), partial(_finish, event, again))
    except PaymentObjectUnknown:
        _finish(event, again, f"Stripe does not know '{event.object_id}'")


def _read(event: StripeEvent, again: bool, handler: Handler, account: Account) -> Apply:
    """Read from Stripe, unless another process has done so while this one waited for its turn."""
    if not again and not StripeEvent.objects.get(pk=event.pk).is_open:
        return purchases.nothing
    return handler(account, event.object_id)


@transaction.atomic
def _finish(event: StripeEvent, again: bool, flag: str, *, done: StripeEvent.Status = StripeEvent.Status.PROCESSED) -> None:
    """Record the outcome. Do not overwrite what another process has recorded meanwhile."""
    stored = StripeEvent.objects.select_for_update(no_key=True).get(pk=event.pk)
    if not (stored.is_open or again):
        return
    stored.customer_id, stored.account = event.customer_id, event.account
    stored.status = StripeEvent.Status.FLAGGED if flag else done
    stored.error, stored.attempts, stored.finished_at = flag, stored.attempts + 1, timezone.now()
    stored.save()


def _record_failure(pk: int, error: Exception) -> None:
    text = find_translation(error) or error
    with transaction.atomic():
        event = StripeEvent.objects.select_for_update(no_key=True).get(pk=pk)
        # Another process may have finished it meanwhile.
        if event.is_open:
            event.status, event.error = StripeEvent.Status.FAILED, f"{type(error).__name__}: {text}"[:2000]
            event.attempts += 1
            event.save()


def _find_customer(event: StripeEvent) -> str:
    """The customer of an object that does not name one: a dispute's customer is its charge's."""
    if not event.type.startswith("charge.dispute."):
        return ""
    client = stripe_client.get_client()
    customer: str | None = client.get_charge(client.get_dispute(event.object_id)["charge"])["customer"]
    return customer or ""


def _subscription(account: Account, stripe_id: str) -> Apply:
    return subscriptions.read(account, stripe_id)


def _checkout(account: Account, stripe_id: str) -> Apply:
    return purchases.read(account, stripe_id)


def _invoice(account: Account, stripe_id: str) -> Apply:
    parent = stripe_client.get_client().get_invoice(stripe_id).get("parent") or {}
    subscription = (parent.get("subscription_details") or {}).get("subscription")
    return subscriptions.read(account, subscription) if subscription else purchases.nothing


def _charge(account: Account, stripe_id: str) -> Apply:
    return purchases.read_charge(account, stripe_client.get_client().get_charge(stripe_id))


def _dispute(account: Account, stripe_id: str) -> Apply:
    client = stripe_client.get_client()
    dispute = client.get_dispute(stripe_id)
    return purchases.read_charge(account, client.get_charge(dispute["charge"]), dispute)


HANDLERS: dict[str, Handler] = {
    "checkout.session.completed": _checkout,
    "checkout.session.async_payment_succeeded": _checkout,
    "checkout.session.async_payment_failed": _checkout,
    "customer.subscription.created": _subscription,
    "customer.subscription.updated": _subscription,
    "customer.subscription.deleted": _subscription,
    "invoice.paid": _invoice,
    "invoice.payment_failed": _invoice,
    "charge.refunded": _charge,
    "charge.dispute.created": _dispute,
    "charge.dispute.closed": _dispute,
}
