"""What Stripe tells us: each event stored once by its id, then processed by one short handler.

An event is a signal only. A handler finds the account and the object, and leaves the rest to `subscriptions.match` or
`purchases.match`, which read the object anew. So order and repetition make no difference.
"""

import logging
from collections.abc import Callable
from typing import Any

from django.db import transaction
from django.utils import timezone

from billing import purchases, stripe_client, stripe_customers, subscriptions
from billing.models import Account, StripeEvent
from config.errors import ApiError
from config.texts import is_storable

logger = logging.getLogger(__name__)

# Takes the account and the id of the event's object; returns what support has to look into, or an empty text.
Handler = Callable[[Account, str], str]


def receive(event: dict[str, Any]) -> StripeEvent:
    """Store an event, once. What it carries beyond its object's id is not kept. Raises ApiError 400 for none of Stripe's."""
    told = event["data"]["object"]
    customer = told["id"] if told.get("object") == "customer" else told.get("customer")
    values = {
        "stripe_id": event["id"],
        "type": event["type"],
        "object_id": told.get("id") or "",
        "customer_id": customer or "",
        "is_live_mode": event["livemode"],
    }
    _check(values)
    stored, _ = StripeEvent.objects.get_or_create(stripe_id=values.pop("stripe_id"), defaults=values)
    return stored


def _check(values: dict[str, Any]) -> None:
    """Raise ApiError 400 `invalid_event` unless the columns can hold all of them."""
    for name, value in values.items():
        length = getattr(StripeEvent._meta.get_field(name), "max_length", None)
        if not (isinstance(value, bool) if length is None else isinstance(value, str) and is_storable(value, length)):
            raise ApiError(400, "invalid_event", f"The event's {name} cannot be stored.")


def process(pk: int, *, again: bool = False) -> bool:
    """Process a stored event, once; with `again` also one that is finished. False if it failed, which is recorded."""
    try:
        with transaction.atomic():
            event = StripeEvent.objects.select_for_update(no_key=True).get(pk=pk)
            if event.is_open or again:
                _process(event)
    except Exception as error:
        # Whatever it was, nothing of it was written: a later try begins anew.
        logger.exception("Stripe event failed", extra={"event": pk})
        _record_failure(pk, error)
        return False
    return True


def _process(event: StripeEvent) -> None:
    handler = HANDLERS.get(event.type)
    flag = ""
    if handler is not None:
        event.customer_id = event.customer_id or _find_customer(event)
        event.account = stripe_customers.find(event.customer_id)
        flag = _handle(handler, event) if event.account else f"unknown customer '{event.customer_id}'"
    status = StripeEvent.Status.PROCESSED if handler else StripeEvent.Status.IGNORED
    event.status = StripeEvent.Status.FLAGGED if flag else status
    event.error, event.attempts, event.finished_at = flag, event.attempts + 1, timezone.now()
    event.save()


def _handle(handler: Handler, event: StripeEvent) -> str:
    assert event.account is not None  # noqa: S101
    try:
        with transaction.atomic():
            return handler(event.account, event.object_id)
    except ApiError as error:
        if error.code != stripe_client.UNKNOWN_OBJECT:
            raise
        return f"Stripe does not know '{event.object_id}'"


def _record_failure(pk: int, error: Exception) -> None:
    with transaction.atomic():
        event = StripeEvent.objects.select_for_update(no_key=True).get(pk=pk)
        # Another process may have got it done meanwhile.
        if event.is_open:
            event.status, event.error = StripeEvent.Status.FAILED, f"{type(error).__name__}: {error}"[:2000]
            event.attempts += 1
            event.save()


def _find_customer(event: StripeEvent) -> str:
    """The customer of an object that does not name its own: a dispute's is its charge's."""
    if not event.type.startswith("charge.dispute."):
        return ""
    client = stripe_client.get_client()
    customer: str | None = client.get_charge(client.get_dispute(event.object_id)["charge"])["customer"]
    return customer or ""


def _checkout(account: Account, stripe_id: str) -> str:
    return purchases.match(account, stripe_id)


def _subscription(account: Account, stripe_id: str) -> str:
    return subscriptions.match(account, stripe_id)


def _invoice(account: Account, stripe_id: str) -> str:
    parent = stripe_client.get_client().get_invoice(stripe_id).get("parent") or {}
    subscription = (parent.get("subscription_details") or {}).get("subscription")
    return subscriptions.match(account, subscription) if subscription else ""


def _charge(account: Account, stripe_id: str) -> str:
    return purchases.match_charge(account, stripe_client.get_client().get_charge(stripe_id))


def _dispute(account: Account, stripe_id: str) -> str:
    client = stripe_client.get_client()
    dispute = client.get_dispute(stripe_id)
    return purchases.match_charge(account, client.get_charge(dispute["charge"]), dispute)


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
