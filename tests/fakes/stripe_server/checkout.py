"""Checkout sessions: created by the product, completed by a buyer."""

from typing import Any

from tests.fakes.stripe_server import catalog, invoicing, payments, shapes, subscriptions
from tests.fakes.stripe_server.errors import Refused
from tests.fakes.stripe_server.periods import DAY, HOUR
from tests.fakes.stripe_server.world import Obj, World, list_of

# The address that Checkout would ask for if the product named neither a customer nor an address.
BUYER = "buyer@example.com"
OTHER_MODE = {"payment": ("subscription_data",), "subscription": ("payment_intent_data", "invoice_creation")}


def create(world: World, params: Obj) -> Obj:
    """POST /v1/checkout/sessions."""
    _check(world, params)
    lines = _line_items(world, params)
    data = params.get("subscription_data") or {}
    trial = data.get("trial_end") or data.get("trial_period_days")
    total = sum(line["amount_total"] for line in lines if not (trial and line["price"]["recurring"]))
    id = world.new_id("cs_test")
    session: Obj = {
        "id": id,
        "object": "checkout.session",
        "allow_promotion_codes": params.get("allow_promotion_codes"),
        "amount_subtotal": total,
        "amount_total": total,
        "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
        "billing_address_collection": params.get("billing_address_collection"),
        "cancel_url": params.get("cancel_url"),
        "client_reference_id": params.get("client_reference_id"),
        "client_secret": None,
        "created": world.now,
        "currency": lines[0]["currency"],
        "customer": params.get("customer"),
        "customer_creation": None if params.get("customer") else params.get("customer_creation", "if_required"),
        "customer_details": None,
        "customer_email": params.get("customer_email"),
        "expires_at": params.get("expires_at", world.now + DAY),
        "invoice": None,
        "invoice_creation": params.get("invoice_creation"),
        "livemode": False,
        "locale": params.get("locale"),
        "metadata": params.get("metadata", {}),
        "mode": params["mode"],
        "payment_intent": None,
        "payment_link": None,
        "payment_method_collection": params.get("payment_method_collection", "always"),
        "payment_method_types": ["card"],
        "payment_status": "unpaid",
        "recovered_from": None,
        "setup_intent": None,
        "status": "open",
        "submit_type": params.get("submit_type"),
        "subscription": None,
        "success_url": params["success_url"],
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
        "ui_mode": "hosted_page",
        "url": f"{world.url}/pay/{id}",
        "_line_items": lines,
        "_params": params,
    }
    return world.add(session)


def _check(world: World, params: Obj) -> None:
    mode = params["mode"]
    for name in OTHER_MODE[mode]:
        if name in params:
            raise Refused(f"You can not pass `{name}` in `{mode}` mode.", param=name)
    if not params.get("success_url"):
        raise Refused("Missing required param: success_url.", code="parameter_missing", param="success_url")
    if params.get("customer") and params.get("customer_email"):
        raise Refused("You may only specify one of these parameters: customer, customer_email.")
    if params.get("customer"):
        catalog.living_customer(world, params["customer"])
    expires = params.get("expires_at")
    if expires is not None and not world.now + HOUR / 2 <= expires <= world.now + DAY:
        raise Refused("The `expires_at` timestamp must be between 30 minutes and 24 hours from now.", param="expires_at")


def _line_items(world: World, params: Obj) -> list[Obj]:
    lines = []
    for index, item in enumerate(params["line_items"]):
        path = f"line_items[{index}]"
        price = world.get("price", item["price"], f"{path}[price]")
        if not price["active"]:
            raise Refused("The price specified is inactive. This field only accepts active prices.", param=path)
        if price["recurring"] and params["mode"] == "payment":
            raise Refused("You specified `payment` mode but passed a recurring price.", param="line_items")
        if item.get("quantity", 0) < 1:
            raise Refused("Quantity is required. Add `quantity` to each line item.", param=f"{path}[quantity]")
        amount = price["unit_amount"] * item["quantity"]
        lines.append(
            {
                "id": world.new_id("li"),
                "object": "item",
                "amount_discount": 0,
                "amount_subtotal": amount,
                "amount_tax": 0,
                "amount_total": amount,
                "currency": price["currency"],
                "description": world.get("product", price["product"])["name"],
                "price": price,
                "quantity": item["quantity"],
            }
        )
    if params["mode"] == "subscription" and not any(line["price"]["recurring"] for line in lines):
        raise Refused("You must provide at least one recurring price in `subscription` mode.", param="line_items")
    return lines


def list_line_items(world: World, params: Obj, id: str) -> list[Obj]:
    """GET /v1/checkout/sessions/:id/line_items."""
    lines: list[Obj] = world.get("checkout.session", id)["_line_items"]
    return lines


def line_items_of(session: Obj) -> Obj:
    """The expanded `line_items`."""
    return list_of(session["_line_items"], f"/v1/checkout/sessions/{session['id']}/line_items")


def list_sessions(world: World, params: Obj) -> list[Obj]:
    """GET /v1/checkout/sessions."""
    names = ("customer", "payment_intent", "subscription", "status")
    return world.all("checkout.session", **{name: params.get(name) for name in names})


def expire(world: World, params: Obj, id: str) -> Obj:
    """POST /v1/checkout/sessions/:id/expire, and what the clock does."""
    session = _open(world, id, "expired")
    session.update(status="expired", url=None)
    world.emit("checkout.session.expired", session)
    return session


def _open(world: World, id: str, verb: str) -> Obj:
    session = world.get("checkout.session", id)
    if session["status"] != "open":
        raise Refused(f'Only Checkout Sessions with a status in ["open"] can be {verb}. It is {session["status"]}.')
    return session


def pay(world: World, id: str, *, later: bool = False) -> Obj:
    """The buyer pays with a good card, or with a debit whose outcome arrives `later`."""
    session = _open(world, id, "paid")
    customer = _customer(world, session)
    if session["mode"] == "subscription":
        assert customer is not None
        _subscribe(world, session, customer, later)
    else:
        _buy(world, session, customer, later)
    free = session["amount_total"] == 0
    session["payment_status"] = "no_payment_required" if free else "unpaid" if later else "paid"
    session.update(status="complete", url=None)
    world.emit("checkout.session.completed", session)
    return session


def _customer(world: World, session: Obj) -> Obj | None:
    email = session["customer_email"] or BUYER
    customer = None
    if session["customer"]:
        customer = catalog.living_customer(world, session["customer"])
        email = customer["email"] or email
    elif session["mode"] == "subscription" or session["customer_creation"] == "always":
        customer = catalog.create_customer(world, {"email": email})
        session["customer"] = customer["id"]
    session["customer_details"] = {
        "address": {**catalog.NO_ADDRESS, "country": "US"},
        "email": email,
        "name": "Fake Buyer",
        "phone": None,
        "tax_exempt": "none",
        "tax_ids": [],
    }
    return customer


def _subscribe(world: World, session: Obj, customer: Obj, later: bool) -> None:
    world.failing_cards.discard(customer["id"])
    lines = [(line["price"], line["quantity"]) for line in session["_line_items"] if line["price"]["recurring"]]
    data = session["_params"].get("subscription_data", {})
    subscription = subscriptions.begin(world, customer, lines, data, pays="later" if later else "now")
    session.update(subscription=subscription["id"], invoice=subscription["latest_invoice"])


def _buy(world: World, session: Obj, customer: Obj | None, later: bool) -> None:
    if session["amount_total"] == 0:
        return
    intent = world.objects.get(session["payment_intent"] or "") or _intent(world, session)
    intent["customer"] = session["customer"]
    if later:
        intent["status"] = "processing"
        return
    payments.succeed(world, intent, session["customer_details"]["email"])


def _intent(world: World, session: Obj) -> Obj:
    intent = shapes.payment_intent(world, session["amount_total"], session["currency"], session["customer"])
    data: dict[str, Any] = session["_params"].get("payment_intent_data", {})
    intent.update(data)
    session["payment_intent"] = intent["id"]
    return world.add(intent)


def decline(world: World, id: str) -> Obj:
    """The buyer's card is refused: the session stays open for another try."""
    session = _open(world, id, "paid")
    if session["mode"] == "payment":
        payments.fail(world, world.objects.get(session["payment_intent"] or "") or _intent(world, session))
    return session


def resolve(world: World, id: str, *, succeed: bool) -> Obj:
    """The debit of a session that was paid `later` has succeeded or failed."""
    session = world.get("checkout.session", id)
    if session["status"] != "complete" or session["payment_status"] != "unpaid":
        raise Refused("This session waits for no payment.")
    if session["mode"] == "subscription":
        invoicing.collect(world, world.get("invoice", session["invoice"]), fails=not succeed)
    elif succeed:
        payments.succeed(world, world.get("payment_intent", session["payment_intent"]))
    else:
        payments.fail(world, world.get("payment_intent", session["payment_intent"]))
    if succeed:
        session["payment_status"] = "paid"
    world.emit(f"checkout.session.async_payment_{'succeeded' if succeed else 'failed'}", session)
    return session


def success_url(session: Obj) -> str:
    """Where the buyer is redirected."""
    return str(session["success_url"]).replace("{CHECKOUT_SESSION_ID}", session["id"])
