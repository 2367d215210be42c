"""Subscriptions: creation, renewal, cancellation. Price changes are in `changes`."""

from typing import Any

from tests.fakes.stripe_server import invoicing, shapes
from tests.fakes.stripe_server.errors import Refused, missing
from tests.fakes.stripe_server.periods import DAY, period_after
from tests.fakes.stripe_server.world import Obj, World

Lines = list[tuple[Obj, int]]


def begin(world: World, customer: Obj, lines: Lines, data: Obj, *, pays: str = "now") -> Obj:
    """A new subscription with its first invoice; `pays` is `now`, `later` (still under way) or `card`."""
    subscription = shapes.subscription(world, customer["id"], lines[0][0]["currency"])
    subscription["metadata"] = data.get("metadata") or {}
    subscription["description"] = data.get("description")
    customer["currency"] = subscription["currency"]
    period = _first_period(world, subscription, lines[0][0], data)
    subscription["items"]["data"] = [
        shapes.subscription_item(world, subscription["id"], price, quantity, period) for price, quantity in lines
    ]
    world.add(subscription)
    trial = subscription["status"] == "trialing"
    drafts = [invoicing.line(world, item, amount=0 if trial else None) for item in subscription["items"]["data"]]
    invoice = invoicing.create(world, customer, "subscription_create", drafts, subscription)
    world.emit("customer.subscription.created", subscription)
    if pays == "later":
        invoicing.finalize(world, invoice)
        # A debit that takes days: Stripe calls the subscription active while the invoice is still open.
        set_status(world, subscription, "active", only_from=("incomplete",))
    else:
        invoicing.collect(world, invoice, fails=None if pays == "card" else False)
    return subscription


def _first_period(world: World, subscription: Obj, price: Obj, data: Obj) -> tuple[int, int]:
    end = data.get("trial_end")
    if data.get("trial_period_days"):
        end = world.now + data["trial_period_days"] * DAY
    if end:
        if end <= world.now:
            raise Refused("The trial end must be in the future.", param="trial_end")
        subscription.update(status="trialing", trial_start=world.now, trial_end=end, billing_cycle_anchor=end)
        return world.now, end
    return period_from(subscription, price, world.now)


def period_from(subscription: Obj, price: Obj, moment: int) -> tuple[int, int]:
    """The period of the subscription's cycle that contains `moment`."""
    recurring = price["recurring"]
    return period_after(subscription["billing_cycle_anchor"], recurring["interval"], recurring["interval_count"], moment)


def period_of(subscription: Obj) -> tuple[int, int]:
    """The current period of a subscription's first item."""
    item = subscription["items"]["data"][0]
    return item["current_period_start"], item["current_period_end"]


def renew(world: World, subscription: Obj) -> None:
    """The period is over: end the subscription, or open the next period and collect for it."""
    if subscription["cancel_at_period_end"]:
        end(world, subscription, "cancellation_requested")
        return
    start, finish = period_of(subscription)
    previous: dict[str, Any] = {"items": {"data": [dict(item) for item in subscription["items"]["data"]]}}
    follow_schedule(world, subscription)
    items = subscription["items"]["data"]
    new_start, new_end = period_from(subscription, items[0]["price"], finish)
    for item in items:
        item.update(current_period_start=new_start, current_period_end=new_end)
    if subscription["status"] == "trialing":
        previous["status"] = "trialing"
        subscription["status"] = "active"
    lines = [*subscription["_pending_lines"], *(invoicing.line(world, item) for item in items)]
    subscription["_pending_lines"] = []
    customer = world.get("customer", subscription["customer"])
    # An invoice's own period looks back; the period that is paid for is on its lines.
    invoice = invoicing.create(
        world, customer, "subscription_cycle", lines, subscription, period_start=start, period_end=finish
    )
    world.emit("customer.subscription.updated", subscription, previous)
    if subscription["status"] == "unpaid":
        invoice["auto_advance"] = False
    else:
        invoicing.collect(world, invoice)


def follow_schedule(world: World, subscription: Obj) -> None:
    """Apply the prices of the schedule's last phase, and release the schedule."""
    if subscription["schedule"] is None:
        return
    schedule = world.get("subscription_schedule", subscription["schedule"])
    for item, planned in zip(subscription["items"]["data"], schedule["phases"][-1]["items"], strict=False):
        item.update(price=world.get("price", planned["price"]), quantity=planned["quantity"])
    release_schedule(world, subscription)


def release_schedule(world: World, subscription: Obj) -> None:
    """The subscription continues without its schedule."""
    if subscription["schedule"] is None:
        return
    schedule = world.get("subscription_schedule", subscription["schedule"])
    schedule.update(status="released", released_at=world.now, released_subscription=subscription["id"], subscription=None)
    subscription["schedule"] = None


def set_status(world: World, subscription: Obj, status: str, *, only_from: tuple[str, ...]) -> None:
    """Change the status if it is one of `only_from`, and send the event."""
    if subscription["status"] in only_from:
        previous = {"status": subscription["status"]}
        subscription["status"] = status
        world.emit("customer.subscription.updated", subscription, previous)


def end(world: World, subscription: Obj, reason: str | None) -> None:
    """End the subscription for good."""
    release_schedule(world, subscription)
    subscription.update(status="canceled", ended_at=world.now)
    subscription["canceled_at"] = subscription["canceled_at"] or world.now
    subscription["cancellation_details"]["reason"] = reason
    for invoice in invoicing.list_invoices(world, {"subscription": subscription["id"]}):
        invoice["next_payment_attempt"] = None
    world.emit("customer.subscription.deleted", subscription)


def living(world: World, id: str) -> Obj:
    """A subscription that is not cancelled; raises `Refused`."""
    subscription = world.get("subscription", id)
    if subscription["status"] == "canceled":
        raise missing("subscription", id)
    return subscription


def cancel(world: World, params: Obj, id: str) -> Obj:
    """DELETE /v1/subscriptions/:id."""
    subscription = living(world, id)
    subscription["cancellation_details"].update(params.get("cancellation_details") or {})
    end(world, subscription, "cancellation_requested")
    return subscription


def create_subscription(world: World, params: Obj) -> Obj:
    """POST /v1/subscriptions, with the card that the customer has."""
    customer = world.get("customer", params["customer"], "customer")
    lines = [
        (world.get("price", item["price"], f"items[{index}][price]"), item.get("quantity", 1))
        for index, item in enumerate(params["items"])
    ]
    if not lines or not all(price["recurring"] for price, _ in lines):
        raise Refused("The price specified is set to `type=one_time` but this field only accepts `recurring`.")
    return begin(world, customer, lines, params, pays="card")


def list_subscriptions(world: World, params: Obj) -> list[Obj]:
    """GET /v1/subscriptions: all but the cancelled, unless a status is asked for."""
    status = params.get("status")
    exact = None if status in ("all", "ended", None) else status
    price = params.get("price")
    hidden = {None: ("canceled",)}.get(status, ())
    return [
        subscription
        for subscription in world.all("subscription", customer=params.get("customer"), status=exact)
        if subscription["status"] not in hidden
        and (status != "ended" or subscription["status"] in ("canceled", "incomplete_expired"))
        and (price is None or any(item["price"]["id"] == price for item in subscription["items"]["data"]))
    ]
