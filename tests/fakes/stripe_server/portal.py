"""The customer portal: its sessions, its configurations, and what its buttons do."""

import copy

from tests.fakes.stripe_server import catalog, changes, invoicing, subscriptions
from tests.fakes.stripe_server.errors import Refused
from tests.fakes.stripe_server.params import merged
from tests.fakes.stripe_server.world import Obj, World

# A new account's portal allows everything here.
FEATURES: Obj = {
    "customer_update": {"allowed_updates": ["email"], "enabled": True},
    "invoice_history": {"enabled": True},
    "payment_method_update": {"enabled": True},
    "subscription_cancel": {
        "cancellation_reason": {"enabled": False, "options": []},
        "enabled": True,
        "mode": "at_period_end",
        "proration_behavior": "none",
    },
    "subscription_update": {
        "default_allowed_updates": ["price"],
        "enabled": True,
        "products": None,
        "proration_behavior": "always_invoice",
        "schedule_at_period_end": {"conditions": [{"type": "decreasing_item_amount"}]},
    },
}


def create_configuration(world: World, params: Obj, *, is_default: bool = False) -> Obj:
    """POST /v1/billing_portal/configurations: a feature that is not named is off."""
    features = {name: {**default, "enabled": False} for name, default in copy.deepcopy(FEATURES).items()}
    for name, given in params["features"].items():
        features[name].update(given)
    configuration: Obj = {
        "id": world.new_id("bpc"),
        "object": "billing_portal.configuration",
        "active": True,
        "application": None,
        "business_profile": params.get("business_profile", {}),
        "created": world.now,
        "default_return_url": params.get("default_return_url"),
        "features": features,
        "is_default": is_default,
        "livemode": False,
        "login_page": {"enabled": False, "url": None},
        "metadata": params.get("metadata", {}),
        "name": params.get("name"),
        "updated": world.now,
    }
    return world.add(configuration)


def update_configuration(world: World, params: Obj, id: str) -> Obj:
    """POST /v1/billing_portal/configurations/:id."""
    configuration = world.get("billing_portal.configuration", id)
    for name, given in (params.get("features") or {}).items():
        configuration["features"][name].update(given)
    configuration.update({name: value for name, value in params.items() if name not in ("features", "metadata")})
    configuration["metadata"] = merged(configuration["metadata"], params.get("metadata"))
    configuration["updated"] = world.now
    return configuration


def list_configurations(world: World, params: Obj) -> list[Obj]:
    """GET /v1/billing_portal/configurations."""
    filters = {name: params.get(name) for name in ("active", "is_default")}
    return world.all("billing_portal.configuration", **filters)


def _default_configuration(world: World) -> Obj:
    found = world.all("billing_portal.configuration", is_default=True)
    return found[0] if found else create_configuration(world, {"features": FEATURES}, is_default=True)


def create(world: World, params: Obj) -> Obj:
    """POST /v1/billing_portal/sessions."""
    customer = catalog.living_customer(world, params["customer"])
    id = params.get("configuration")
    configuration = world.get("billing_portal.configuration", id, "configuration") if id else _default_configuration(world)
    return_url = params.get("return_url") or configuration["default_return_url"]
    session_id = world.new_id("bps")
    session: Obj = {
        "id": session_id,
        "object": "billing_portal.session",
        "configuration": configuration["id"],
        "created": world.now,
        "customer": customer["id"],
        "flow": params.get("flow_data"),
        "livemode": False,
        "locale": params.get("locale"),
        "on_behalf_of": None,
        "return_url": return_url,
        "url": f"{world.url}/portal/{session_id}",
    }
    return world.add(session)


def feature(world: World, session: Obj, name: str) -> Obj:
    """One feature of the session's configuration."""
    found: Obj = world.get("billing_portal.configuration", session["configuration"])["features"][name]
    return found


def subscriptions_of(world: World, session: Obj) -> list[Obj]:
    """The customer's subscriptions that have not ended."""
    found = world.all("subscription", customer=session["customer"])
    return [subscription for subscription in found if subscription["status"] != "canceled"]


def prices_of(world: World, session: Obj) -> list[Obj]:
    """The plans that a customer may switch to, cheapest first."""
    products = feature(world, session, "subscription_update")["products"]
    allowed = None if products is None else {price for product in products for price in product["prices"]}
    found = world.all("price", active=True, type="recurring")
    chosen = [price for price in found if allowed is None or price["id"] in allowed]
    return sorted(chosen, key=lambda price: int(price["unit_amount"]))


def act(world: World, session: Obj, form: dict[str, str]) -> None:
    """Carry out the request of one button of the page; raises `Refused`."""
    action, id = form.get("action", ""), form.get("subscription", "")
    if action == "card":
        set_card(world, session["customer"], fails=form.get("fails") == "true")
        return
    if action == "pay":
        invoice = world.get("invoice", form.get("invoice", ""))
        _own(session, invoice)
        invoicing.pay(world, {}, invoice["id"])
        return
    subscription = subscriptions.living(world, id)
    _own(session, subscription)
    if action == "switch":
        switch(world, session, subscription, world.get("price", form.get("price", ""), "price"))
    elif action == "cancel_at_period_end":
        _release(world, subscription)
        changes.update(world, {"cancel_at_period_end": True}, id)
    elif action == "resume":
        changes.update(world, {"cancel_at_period_end": False}, id)
    elif action == "cancel_now":
        subscriptions.cancel(world, {}, id)
    else:
        raise Refused(f"No such button: {action}")


def _own(session: Obj, obj: Obj) -> None:
    if obj["customer"] != session["customer"]:
        raise Refused("This belongs to somebody else.", status=404)


def switch(world: World, session: Obj, subscription: Obj, price: Obj) -> None:
    """An upgrade applies at once with an invoice for the difference, a downgrade at the period's end if so configured."""
    options = feature(world, session, "subscription_update")
    item = subscription["items"]["data"][0]
    conditions = {condition["type"] for condition in (options["schedule_at_period_end"] or {}).get("conditions", [])}
    if price["unit_amount"] < item["price"]["unit_amount"] and "decreasing_item_amount" in conditions:
        changes.plan_change(world, subscription, price)
        return
    if price["id"] == item["price"]["id"]:
        _release(world, subscription)
        return
    update = {
        "items": [{"id": item["id"], "price": price["id"]}],
        "proration_behavior": options["proration_behavior"],
        "payment_behavior": "error_if_incomplete",
    }
    changes.update(world, update, subscription["id"])


def _release(world: World, subscription: Obj) -> None:
    if subscription["schedule"]:
        changes.release(world, {}, subscription["schedule"])


def set_card(world: World, customer: str, *, fails: bool) -> None:
    """Whether the customer's stored card is refused from now on."""
    world.get("customer", customer, "customer")
    (world.failing_cards.add if fails else world.failing_cards.discard)(customer)
