"""Stripe's state in a few dicts, behind the methods of our client, for tests of how we process it."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import stripe
from django.db import transaction

from billing.payments.client import PaymentObjectUnknown, require_no_transaction

SECRET = "whsec_test"
CUSTOMER = "cus_1"

Json = dict[str, Any]


class StripeStub:
    """Stripe's answers, which tests can change."""

    def __init__(self) -> None:
        self.objects: dict[str, Json] = {}
        self.refunds: dict[str, list[Json]] = {}
        self.numbers = count(1)

    def put(self, kind: str, **fields: Any) -> Json:
        """Create an object with an id of its kind."""
        made = {"id": f"{kind}_{next(self.numbers)}", **fields}
        self.objects[made["id"]] = made
        return made

    def subscribe(self, price: str, start: int, end: int, *, status: str = "active", paid: str = "paid") -> Json:
        """A subscription with its first invoice."""
        item = {"price": {"id": price}, "current_period_start": start, "current_period_end": end}
        made = self.put(
            "sub", object="subscription", customer=CUSTOMER, status=status, created=start, items={"data": [item]},
            cancel_at_period_end=False, cancel_at=None, ended_at=None,
        )  # fmt: skip
        self.bill(made, paid)
        return made

    def bill(self, subscription: Json, status: str = "paid") -> Json:
        """The next invoice of a subscription."""
        parent = {"subscription_details": {"subscription": subscription["id"]}}
        invoice = self.put("in", object="invoice", customer=CUSTOMER, status=status, parent=parent)
        subscription["latest_invoice"] = invoice
        return invoice

    def renew(self, subscription: Json, end: int, status: str = "paid") -> Json:
        """The next period begins where the last one ended."""
        item = subscription["items"]["data"][0]
        item["current_period_start"], item["current_period_end"] = item["current_period_end"], end
        return self.bill(subscription, status)

    def buy(self, price: str, amount: int, *, paid: bool = True) -> Json:
        """A completed Checkout of one pack, with its charge."""
        intent = f"pi_{next(self.numbers)}"
        charge = self.put("ch", object="charge", customer=CUSTOMER, amount=amount, amount_refunded=0, payment_intent=intent)
        return self.put(
            "cs", object="checkout.session", customer=CUSTOMER, mode="payment", amount_total=amount,
            payment_status="paid" if paid else "unpaid", payment_intent={"id": intent, "latest_charge": charge},
            line_items={"data": [{"price": {"id": price}, "quantity": 1}]},
        )  # fmt: skip

    def refund(self, charge: Json, amount: int) -> None:
        """Refund a charge."""
        charge["amount_refunded"] += amount
        refund = {"id": f"re_{next(self.numbers)}", "status": "succeeded", "amount": amount, "created": next(self.numbers)}
        self.refunds.setdefault(charge["id"], []).append(refund)

    # --- The methods of our client ----------------------------------------------------------------

    def get(self, stripe_id: str) -> Json:
        require_no_transaction()
        if stripe_id not in self.objects:
            raise PaymentObjectUnknown
        return json.loads(json.dumps(self.objects[stripe_id]))

    get_subscription = get_invoice = get_checkout = get_charge = get_dispute = get

    def list_refunds(self, charge: str) -> list[Json]:
        require_no_transaction()
        return self.refunds.get(charge, [])

    def find_checkout(self, payment_intent: str) -> Json | None:
        require_no_transaction()
        sessions = (one for one in self.objects.values() if one.get("object") == "checkout.session")
        return next((one for one in sessions if one["payment_intent"]["id"] == payment_intent), None)

    def list_subscriptions(self, customer: str) -> list[Json]:
        require_no_transaction()
        return [one for one in self.objects.values() if one.get("object") == "subscription"]

    def list_checkouts(self, customer: str) -> list[Json]:
        require_no_transaction()
        return [one for one in self.objects.values() if one.get("object") == "checkout.session"]

    def list_invoices(self, customer: str, limit: int = 12) -> list[Json]:
        return []

    def create_customer(self, *, public_id: str, email: str) -> Json:
        require_no_transaction()
        return {"id": CUSTOMER}


def event(kind: str, stripe_object: Json, event_id: str | None = None) -> Json:
    """An event about an object as it is now."""
    return {
        "id": event_id or f"evt_{kind}_{stripe_object['id']}", "object": "event", "type": kind, "livemode": False,
        "created": int(time.time()), "data": {"object": stripe_object},
    }  # fmt: skip


@contextmanager
def undone() -> Iterator[None]:
    """Roll back what the block does. Like a TestCase's transaction, it does not forbid calls to Stripe."""
    block = transaction.atomic()
    block._from_testcase = True  # type: ignore[attr-defined]
    with block:
        yield
        transaction.set_rollback(True)


def sign(body: bytes, *, secret: str = SECRET, at: float | None = None) -> str:
    """The signature header that Stripe would send."""
    moment = int(time.time() if at is None else at)
    digest = stripe.WebhookSignature._compute_signature(f"{moment}.{body.decode()}", secret)
    return f"t={moment},v1={digest}"
