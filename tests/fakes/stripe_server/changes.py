"""Changes of a subscription: a new price, cancellation at the period's end, resumption, changes planned for later."""

from tests.fakes.stripe_server import invoicing, shapes
from tests.fakes.stripe_server.errors import Refused, declined
from tests.fakes.stripe_server.params import merged
from tests.fakes.stripe_server.subscriptions import living, period_from, period_of, release_schedule
from tests.fakes.stripe_server.world import Obj, World


def update(world: World, params: Obj, id: str) -> Obj:
    """POST /v1/subscriptions/:id."""
    subscription = world.get("subscription", id)
    if subscription["status"] == "canceled" and params.keys() - {"metadata", "cancellation_details"}:
        raise Refused("A canceled subscription can only update its cancellation_details and metadata.")
    previous: Obj = {}
    # Everything that can be refused is checked first, so that a refused update changes nothing.
    invoice = None
    if "items" in params or params.get("billing_cycle_anchor") == "now":
        previous["items"] = {"data": [dict(item) for item in subscription["items"]["data"]]}
        invoice = _change_items(world, subscription, params)
    if "cancel_at_period_end" in params:
        previous.update(_cancel_later(world, subscription, params["cancel_at_period_end"]))
    if "metadata" in params:
        previous["metadata"] = subscription["metadata"]
        subscription["metadata"] = merged(subscription["metadata"], params["metadata"])
    if "description" in params:
        previous["description"] = subscription["description"]
        subscription["description"] = params["description"]
    if params.get("cancellation_details"):
        subscription["cancellation_details"].update(params["cancellation_details"])
    world.emit("customer.subscription.updated", subscription, previous)
    if invoice is not None:
        invoicing.collect(world, invoice)
    return subscription


def _cancel_later(world: World, subscription: Obj, cancel: bool) -> Obj:
    if subscription["schedule"] is not None:
        raise Refused(
            f"The subscription is managed by the subscription schedule `{subscription['schedule']}`, and updating any "
            "cancelation behavior directly is not allowed. Please update the schedule instead."
        )
    names = ("cancel_at_period_end", "cancel_at", "canceled_at")
    previous = {name: subscription[name] for name in names}
    subscription["cancel_at_period_end"] = cancel
    subscription["cancel_at"] = period_of(subscription)[1] if cancel else None
    subscription["canceled_at"] = world.now if cancel else None
    subscription["cancellation_details"]["reason"] = "cancellation_requested" if cancel else None
    return previous


def _change_items(world: World, subscription: Obj, params: Obj) -> Obj | None:
    """Apply the new items; returns the invoice to collect, if any."""
    old = [dict(item) for item in subscription["items"]["data"]]
    new = _new_items(world, subscription, params.get("items", []))
    if params.get("payment_behavior") == "error_if_incomplete" and subscription["customer"] in world.failing_cards:
        raise declined()
    release_schedule(world, subscription)
    subscription["items"]["data"] = new
    start, end = period_of({"items": {"data": old}})
    recurring = [item["price"]["recurring"] for item in (old[0], new[0])]
    restart = params.get("billing_cycle_anchor") == "now" or recurring[0] != recurring[1]
    if restart:
        subscription["billing_cycle_anchor"] = world.now
    start, end = period_from(subscription, new[0]["price"], world.now) if restart else (start, end)
    for item in new:
        item.update(current_period_start=start, current_period_end=end)
    behavior = params.get("proration_behavior", "create_prorations")
    lines = [] if behavior == "none" or subscription["status"] == "trialing" else _credits(world, old)
    if restart:
        lines += [invoicing.line(world, item) for item in new]
    elif lines:
        lines += [_rest_of_period(world, item, 1) for item in new]
    if behavior != "always_invoice" and not restart:
        subscription["_pending_lines"] += lines
        return None
    customer = world.get("customer", subscription["customer"])
    lines = [*subscription["_pending_lines"], *lines]
    subscription["_pending_lines"] = []
    return invoicing.create(world, customer, "subscription_update", lines, subscription) if lines else None


def _credits(world: World, items: list[Obj]) -> list[Obj]:
    return [_rest_of_period(world, item, -1) for item in items]


def _rest_of_period(world: World, item: Obj, sign: int) -> Obj:
    """The price of the unused part of the current period, by the second."""
    start, end = item["current_period_start"], item["current_period_end"]
    left = max(0, end - world.now) / (end - start)
    amount = sign * round(item["price"]["unit_amount"] * item["quantity"] * left)
    return invoicing.line(world, item, amount=amount, period=(world.now, end), proration=True)


def _new_items(world: World, subscription: Obj, changes: list[Obj]) -> list[Obj]:
    """Stripe's rule: with an id an item is changed, without one another is added."""
    items = {item["id"]: dict(item) for item in subscription["items"]["data"]}
    for index, change in enumerate(changes):
        path = f"items[{index}]"
        if change.get("id") and change["id"] not in items:
            raise Refused(f"No such subscription item: '{change['id']}'", code="resource_missing", param=f"{path}[id]")
        if change.get("deleted"):
            items.pop(change.get("id", ""), None)
            continue
        price = _price(world, change["price"], f"{path}[price]") if change.get("price") else None
        if change.get("id"):
            item = items[change["id"]]
            item.update(price=price or item["price"], quantity=change.get("quantity", item["quantity"]))
        elif price is None:
            raise Refused("Missing required param: price.", code="parameter_missing", param=f"{path}[price]")
        elif any(item["price"]["id"] == price["id"] for item in items.values()):
            raise Refused(f"Cannot add multiple subscription items with the same plan: {price['id']}", param=path)
        else:
            added = shapes.subscription_item(
                world, subscription["id"], price, change.get("quantity", 1), period_of(subscription)
            )
            items[added["id"]] = added
    if not items:
        raise Refused("A subscription must have at least one active plan.", param="items")
    return list(items.values())


def _price(world: World, id: str, param: str) -> Obj:
    price = world.get("price", id, param)
    if not price["active"]:
        raise Refused("The price specified is inactive. This field only accepts active prices.", param=param)
    if not price["recurring"]:
        raise Refused("The price specified is set to `type=one_time` but this field only accepts `recurring`.", param=param)
    return price


def plan_change(world: World, subscription: Obj, price: Obj) -> Obj:
    """A new price from the next period on, as the portal's `schedule_at_period_end` does."""
    living(world, subscription["id"])
    release_schedule(world, subscription)
    start, end = period_of(subscription)
    now = [{"price": item["price"]["id"], "quantity": item["quantity"]} for item in subscription["items"]["data"]]
    then = [{"price": price["id"], "quantity": now[0]["quantity"]}]
    phases = [
        {"items": items, "start_date": first, "end_date": last, "metadata": {}, "proration_behavior": "none"}
        for items, first, last in ((now, start, end), (then, end, period_from(subscription, price, end)[1]))
    ]
    schedule: Obj = {
        "id": world.new_id("sub_sched"),
        "object": "subscription_schedule",
        "canceled_at": None,
        "completed_at": None,
        "created": world.now,
        "current_phase": {"end_date": end, "start_date": start},
        "customer": subscription["customer"],
        "end_behavior": "release",
        "livemode": False,
        "metadata": {},
        "phases": phases,
        "released_at": None,
        "released_subscription": None,
        "status": "active",
        "subscription": subscription["id"],
        "test_clock": None,
    }
    subscription["schedule"] = world.add(schedule)["id"]
    world.emit("customer.subscription.updated", subscription, {"schedule": None})
    return schedule


def release(world: World, params: Obj, id: str) -> Obj:
    """POST /v1/subscription_schedules/:id/release."""
    schedule = world.get("subscription_schedule", id)
    if schedule["status"] != "active":
        raise Refused(f"You cannot release a subscription schedule that is `{schedule['status']}`.")
    subscription = world.get("subscription", schedule["subscription"])
    release_schedule(world, subscription)
    world.emit("customer.subscription.updated", subscription, {"schedule": id})
    return schedule
