"""Invoices: their lines, their collection, and the effect of a failed one on its subscription."""

from typing import Any

from tests.fakes.stripe_server import payments, shapes, subscriptions
from tests.fakes.stripe_server.errors import Refused, declined
from tests.fakes.stripe_server.periods import DAY
from tests.fakes.stripe_server.world import Obj, World

# Days after each failed attempt until the next one: Stripe's own default for a fixed schedule.
RETRY_DAYS = (3, 5, 7)


def line(
    world: World, item: Obj, *, amount: int | None = None, period: tuple[int, int] | None = None, proration: bool = False
) -> Obj:
    """An invoice line for one item; by default with the price's amount and the item's period."""
    price = item["price"]
    start, end = period or (item["current_period_start"], item["current_period_end"])
    kind = "invoice_item_details" if proration else "subscription_item_details"
    details: Obj = {"proration": proration, "proration_details": None, "subscription": item["subscription"]}
    details["invoice_item"] = world.new_id("ii") if proration else None
    if not proration:
        details["subscription_item"] = item["id"]
    total = price["unit_amount"] * item["quantity"] if amount is None else amount
    return {
        "id": world.new_id("il"),
        "object": "line_item",
        "amount": total,
        "currency": price["currency"],
        "description": f"{item['quantity']} × {world.get('product', price['product'])['name']}",
        "discount_amounts": [],
        "discountable": not proration,
        "discounts": [],
        "livemode": False,
        "metadata": {},
        "parent": {"invoice_item_details": None, "subscription_item_details": None, kind: details, "type": kind},
        "period": {"end": end, "start": start},
        "pricing": {
            "price_details": {"price": price["id"], "product": price["product"]},
            "type": "price_details",
            "unit_amount_decimal": str(price["unit_amount"]),
        },
        "quantity": item["quantity"],
        "subtotal": total,
        "taxes": [],
    }


def create(
    world: World, customer: Obj, reason: str, lines: list[Obj], subscription: Obj | None = None, **fields: Any
) -> Obj:
    """A finalized invoice without a collection attempt so far. A customer's credit pays first."""
    currency = lines[0]["currency"] if lines else "usd"
    invoice = shapes.invoice(world, customer, reason, currency)
    invoice["lines"]["data"] = [{**each, "invoice": invoice["id"]} for each in lines]
    total = sum(each["amount"] for each in lines)
    after_balance = total + customer["balance"]
    invoice.update(subtotal=total, total=total, starting_balance=customer["balance"], **fields)
    customer["balance"] = invoice["ending_balance"] = min(0, after_balance)
    invoice["amount_due"] = invoice["amount_remaining"] = max(0, after_balance)
    if subscription is not None:
        details = {"metadata": dict(subscription["metadata"]), "subscription": subscription["id"]}
        invoice["parent"] = {
            "quote_details": None,
            "subscription_details": details,
            "type": "subscription_details",
        }
        subscription["latest_invoice"] = invoice["id"]
    world.add(invoice)
    world.emit("invoice.created", invoice)
    return invoice


def finalize(world: World, invoice: Obj) -> None:
    """Open it for payment, with a payment intent if there is something to pay."""
    invoice.update(status="open", effective_at=world.now)
    invoice["status_transitions"]["finalized_at"] = world.now
    if invoice["amount_due"] == 0:
        return
    intent = shapes.payment_intent(world, invoice["amount_due"], invoice["currency"], invoice["customer"])
    intent["description"] = "Subscription update" if invoice["parent"] else "Payment for Invoice"
    invoice["_payment_intent"] = world.add(intent)["id"]
    world.add(
        {
            "id": world.new_id("inpay"),
            "object": "invoice_payment",
            "amount_paid": None,
            "amount_requested": invoice["amount_due"],
            "created": world.now,
            "currency": invoice["currency"],
            "invoice": invoice["id"],
            "is_default": True,
            "livemode": False,
            "payment": {"payment_intent": intent["id"], "type": "payment_intent"},
            "status": "open",
            "status_transitions": {"canceled_at": None, "paid_at": None},
        }
    )


def collect(world: World, invoice: Obj, *, fails: bool | None = None) -> bool:
    """Try to charge the customer's card; true when the invoice is paid."""
    if invoice["status"] == "draft":
        finalize(world, invoice)
    failing = invoice["customer"] in world.failing_cards if fails is None else fails
    if invoice["amount_due"] and failing:
        _failed(world, invoice)
        return False
    settle(world, invoice)
    return True


def settle(world: World, invoice: Obj) -> None:
    """The money has arrived."""
    if invoice["_payment_intent"]:
        invoice["attempt_count"] += 1
        payments.succeed(world, world.get("payment_intent", invoice["_payment_intent"]), invoice["customer_email"])
    for payment in world.all("invoice_payment", invoice=invoice["id"]):
        payment.update(status="paid", amount_paid=invoice["amount_due"])
        payment["status_transitions"]["paid_at"] = world.now
    invoice.update(status="paid", attempted=True, auto_advance=False, next_payment_attempt=None)
    invoice.update(amount_paid=invoice["amount_due"], amount_remaining=0)
    invoice["status_transitions"]["paid_at"] = world.now
    subscription = subscription_of(world, invoice)
    if subscription and subscription["latest_invoice"] == invoice["id"]:
        subscriptions.set_status(world, subscription, "active", only_from=("incomplete", "past_due", "unpaid"))
    world.emit("invoice.paid", invoice)


def _failed(world: World, invoice: Obj) -> None:
    invoice["attempt_count"] += 1
    invoice["attempted"] = True
    payments.fail(world, world.get("payment_intent", invoice["_payment_intent"]))
    subscription = subscription_of(world, invoice)
    first = subscription is not None and subscription["status"] == "incomplete"
    tries = invoice["attempt_count"]
    again = subscription is not None and not first and tries <= len(RETRY_DAYS)
    invoice["next_payment_attempt"] = world.now + RETRY_DAYS[tries - 1] * DAY if again else None
    world.emit("invoice.payment_failed", invoice)
    if subscription is None or first:
        return
    if again:
        subscriptions.set_status(world, subscription, "past_due", only_from=("active", "trialing"))
    elif world.after_retries == "cancel":
        subscriptions.end(world, subscription, "payment_failed")
    else:
        subscriptions.set_status(world, subscription, "unpaid", only_from=("active", "past_due"))


def subscription_of(world: World, invoice: Obj) -> Obj | None:
    """The subscription that an invoice is for."""
    details = (invoice["parent"] or {}).get("subscription_details")
    return world.get("subscription", details["subscription"]) if details else None


def pay(world: World, params: Obj, id: str) -> Obj:
    """POST /v1/invoices/:id/pay, and the button of the portal."""
    invoice = world.get("invoice", id)
    if invoice["status"] not in ("open", "draft"):
        raise Refused("Invoice is already paid" if invoice["status"] == "paid" else "Invoice can't be paid.")
    if not collect(world, invoice):
        raise declined(payment_intent=invoice["_payment_intent"])
    return invoice


def list_invoices(world: World, params: Obj) -> list[Obj]:
    """GET /v1/invoices."""
    subscription = params.get("subscription")
    found = world.all("invoice", customer=params.get("customer"), status=params.get("status"))
    return [invoice for invoice in found if subscription is None or _subscription_id(invoice) == subscription]


def _subscription_id(invoice: Obj) -> str | None:
    return invoice["parent"]["subscription_details"]["subscription"] if invoice["parent"] else None


def list_payments(world: World, params: Obj) -> list[Obj]:
    """GET /v1/invoice_payments: the way from a payment intent to its invoice."""
    intent = params.get("payment", {}).get("payment_intent")
    return [
        payment
        for payment in world.all("invoice_payment", invoice=params.get("invoice"), status=params.get("status"))
        if intent is None or payment["payment"]["payment_intent"] == intent
    ]
