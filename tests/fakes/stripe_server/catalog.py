"""Products, prices and customers."""

from typing import Any

from tests.fakes.stripe_server import subscriptions
from tests.fakes.stripe_server.errors import Refused
from tests.fakes.stripe_server.params import merged
from tests.fakes.stripe_server.world import Obj, World

MOST_LOOKUP_KEYS = 10
NO_ADDRESS = dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state"))


def create_product(world: World, params: Obj) -> Obj:
    """POST /v1/products."""
    id = params.get("id") or world.new_id("prod")
    if id in world.objects:
        raise Refused("Product already exists.", code="resource_already_exists", param="id")
    product: Obj = {
        "id": id,
        "object": "product",
        "active": True,
        "created": world.now,
        "default_price": None,
        "description": None,
        "images": [],
        "livemode": False,
        "marketing_features": [],
        "metadata": {},
        "name": None,
        "package_dimensions": None,
        "shippable": None,
        "statement_descriptor": None,
        "tax_code": None,
        "type": "service",
        "unit_label": None,
        "updated": world.now,
        "url": None,
    }
    product.update(params)
    world.add(product)
    world.emit("product.created", product)
    return product


def update_product(world: World, params: Obj, id: str) -> Obj:
    """POST /v1/products/:id."""
    product = world.get("product", id)
    if params.get("default_price"):
        world.get("price", params["default_price"], "default_price")
    previous = _change(product, params)
    product["updated"] = world.now
    if previous:
        world.emit("product.updated", product, previous)
    return product


def list_products(world: World, params: Obj) -> list[Obj]:
    """GET /v1/products."""
    found = world.all("product", active=params.get("active"))
    return [product for product in found if "ids" not in params or product["id"] in params["ids"]]


def create_price(world: World, params: Obj) -> Obj:
    """POST /v1/prices."""
    params = dict(params)
    if ("product" in params) == ("product_data" in params):
        raise Refused("You must specify either `product` or `product_data`.", param="product")
    if params.get("unit_amount") is None:
        raise Refused("Missing required param: unit_amount.", code="parameter_missing", param="unit_amount")
    transfer = params.pop("transfer_lookup_key", False)
    _claim_lookup_key(world, params.get("lookup_key"), transfer)
    product_data = params.pop("product_data", None)
    product = create_product(world, product_data) if product_data else world.get("product", params["product"], "product")
    recurring = params.pop("recurring", None)
    price: Obj = {
        "id": world.new_id("price"),
        "object": "price",
        "active": True,
        "billing_scheme": "per_unit",
        "created": world.now,
        "custom_unit_amount": None,
        "livemode": False,
        "lookup_key": None,
        "metadata": {},
        "nickname": None,
        "recurring": recurring and _recurring(recurring),
        "tax_behavior": "unspecified",
        "tiers_mode": None,
        "transform_quantity": None,
        "type": "recurring" if recurring else "one_time",
        "unit_amount_decimal": str(params["unit_amount"]),
    }
    price.update({**params, "product": product["id"], "currency": params["currency"].lower()})
    world.add(price)
    world.emit("price.created", price)
    return price


def _recurring(given: Obj) -> Obj:
    defaults = {"interval_count": 1, "meter": None, "trial_period_days": None, "usage_type": "licensed"}
    return {**defaults, **given}


def update_price(world: World, params: Obj, id: str) -> Obj:
    """POST /v1/prices/:id: the amount never changes, as at Stripe."""
    price = world.get("price", id)
    params = dict(params)
    transfer = params.pop("transfer_lookup_key", False)
    if params.get("lookup_key") != price["lookup_key"]:
        _claim_lookup_key(world, params.get("lookup_key"), transfer)
    if previous := _change(price, params):
        world.emit("price.updated", price, previous)
    return price


def list_prices(world: World, params: Obj) -> list[Obj]:
    """GET /v1/prices."""
    keys = params.get("lookup_keys")
    if keys is not None and len(keys) > MOST_LOOKUP_KEYS:
        raise Refused(f"You can only pass up to {MOST_LOOKUP_KEYS} lookup keys.", param="lookup_keys")
    filters = {name: params.get(name) for name in ("active", "currency", "product", "type")}
    interval = params.get("recurring", {}).get("interval")
    return [
        price
        for price in world.all("price", **filters)
        if (keys is None or price["lookup_key"] in keys)
        and (interval is None or (price["recurring"] or {}).get("interval") == interval)
    ]


def _claim_lookup_key(world: World, key: str | None, transfer: bool) -> None:
    if not key:
        return
    for holder in world.all("price", lookup_key=key):
        if not transfer:
            raise Refused(f"A price (`{holder['id']}`) already uses that lookup key.", param="lookup_key")
        holder["lookup_key"] = None
        world.emit("price.updated", holder, {"lookup_key": key})


def create_customer(world: World, params: Obj) -> Obj:
    """POST /v1/customers."""
    id = world.new_id("cus")
    customer: Obj = {
        "id": id,
        "object": "customer",
        "address": None,
        "balance": 0,
        "created": world.now,
        "currency": None,
        "default_source": None,
        "delinquent": False,
        "description": None,
        "discount": None,
        "email": None,
        "invoice_prefix": id[-8:].upper(),
        "invoice_settings": {
            "custom_fields": None,
            "default_payment_method": None,
            "footer": None,
            "rendering_options": None,
        },
        "livemode": False,
        "metadata": {},
        "name": None,
        "next_invoice_sequence": 1,
        "phone": None,
        "preferred_locales": [],
        "shipping": None,
        "tax_exempt": "none",
        "test_clock": None,
    }
    customer.update(_with_address(params))
    world.add(customer)
    world.emit("customer.created", customer)
    return customer


def update_customer(world: World, params: Obj, id: str) -> Obj:
    """POST /v1/customers/:id."""
    customer = living_customer(world, id, "id")
    if previous := _change(customer, _with_address(params)):
        world.emit("customer.updated", customer, previous)
    return customer


def delete_customer(world: World, params: Obj, id: str) -> Obj:
    """DELETE /v1/customers/:id: its subscriptions end at once."""
    customer = living_customer(world, id, "id")
    for subscription in world.all("subscription", customer=id):
        if subscription["status"] != "canceled":
            subscriptions.end(world, subscription, None)
    world.emit("customer.deleted", customer)
    return world.add({"id": id, "object": "customer", "deleted": True})


def list_customers(world: World, params: Obj) -> list[Obj]:
    """GET /v1/customers; the address must match exactly."""
    return world.all("customer", email=params.get("email"))


def living_customer(world: World, id: str, param: str = "customer") -> Obj:
    """A customer that is not deleted; raises `Refused`."""
    customer = world.get("customer", id, param)
    if customer.get("deleted"):
        raise Refused(f"No such customer: '{id}'", code="resource_missing", param=param)
    return customer


def _with_address(params: Obj) -> Obj:
    return {**params, "address": {**NO_ADDRESS, **params["address"]}} if params.get("address") else params


def _change(obj: Obj, params: Obj) -> dict[str, Any]:
    """Apply an update; returns the previous values of the changed fields."""
    new = {**params, "metadata": merged(obj["metadata"], params.get("metadata"))}
    previous = {name: obj[name] for name, value in new.items() if obj[name] != value}
    obj.update(new)
    return previous
