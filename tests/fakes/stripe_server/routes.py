"""The API's addresses: which function answers, with which parameters, and how the answer is expanded."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.fakes.stripe_server import (
    catalog,
    changes,
    checkout,
    invoicing,
    params,
    payments,
    portal,
    specs,
    subscriptions,
)
from tests.fakes.stripe_server.errors import Refused
from tests.fakes.stripe_server.world import Obj, World, list_of, page_of, public

EXPANSIONS = [params.string]


@dataclass(frozen=True)
class Route:
    """One endpoint; `:id` in the path stands for an object's id."""

    method: str
    path: str
    spec: params.Spec
    answer: Callable[..., Any]

    def match(self, method: str, path: str) -> re.Match[str] | None:
        if method != self.method:
            return None
        return re.fullmatch(self.path.replace(":id", r"([A-Za-z0-9_.-]+)"), path)


def _retrieve(kind: str) -> Callable[[World, Obj, str], Obj]:
    return lambda world, given, id: world.get(kind, id)


def _filtered(kind: str, *names: str) -> Callable[[World, Obj], list[Obj]]:
    return lambda world, given: world.all(kind, **{name: given.get(name) for name in names})


def _events(world: World, given: Obj) -> list[Obj]:
    types = given.get("types") or ([given["type"]] if given.get("type") else None)
    return [event for event in world.all("event") if types is None or event["type"] in types]


def _lines(world: World, given: Obj, id: str) -> list[Obj]:
    lines: list[Obj] = world.get("invoice", id)["lines"]["data"]
    return lines


PORTAL_LIST: params.Spec = {**specs.PAGE, "active": params.boolean, "is_default": params.boolean}
SCHEDULE_LIST: params.Spec = {**specs.PAGE, "customer": params.string}
RELEASE: params.Spec = {"preserve_cancel_date": params.boolean}

ROUTES = [
    Route("POST", "/v1/products", specs.PRODUCT_CREATE, catalog.create_product),
    Route("GET", "/v1/products", specs.PRODUCT_LIST, catalog.list_products),
    Route("GET", "/v1/products/:id", specs.NOTHING, _retrieve("product")),
    Route("POST", "/v1/products/:id", specs.PRODUCT_UPDATE, catalog.update_product),
    Route("POST", "/v1/prices", specs.PRICE_CREATE, catalog.create_price),
    Route("GET", "/v1/prices", specs.PRICE_LIST, catalog.list_prices),
    Route("GET", "/v1/prices/:id", specs.NOTHING, _retrieve("price")),
    Route("POST", "/v1/prices/:id", specs.PRICE_UPDATE, catalog.update_price),
    Route("POST", "/v1/customers", specs.CUSTOMER, catalog.create_customer),
    Route("GET", "/v1/customers", specs.CUSTOMER_LIST, catalog.list_customers),
    Route("GET", "/v1/customers/:id", specs.NOTHING, _retrieve("customer")),
    Route("POST", "/v1/customers/:id", specs.CUSTOMER, catalog.update_customer),
    Route("DELETE", "/v1/customers/:id", specs.NOTHING, catalog.delete_customer),
    Route("POST", "/v1/checkout/sessions", specs.SESSION_CREATE, checkout.create),
    Route("GET", "/v1/checkout/sessions", specs.SESSION_LIST, checkout.list_sessions),
    Route("GET", "/v1/checkout/sessions/:id", specs.NOTHING, _retrieve("checkout.session")),
    Route("GET", "/v1/checkout/sessions/:id/line_items", specs.PAGE, checkout.list_line_items),
    Route("POST", "/v1/checkout/sessions/:id/expire", specs.NOTHING, checkout.expire),
    Route("POST", "/v1/billing_portal/configurations", specs.CONFIGURATION_CREATE, portal.create_configuration),
    Route("GET", "/v1/billing_portal/configurations", PORTAL_LIST, portal.list_configurations),
    Route("GET", "/v1/billing_portal/configurations/:id", specs.NOTHING, _retrieve("billing_portal.configuration")),
    Route("POST", "/v1/billing_portal/configurations/:id", specs.CONFIGURATION, portal.update_configuration),
    Route("POST", "/v1/billing_portal/sessions", specs.PORTAL_CREATE, portal.create),
    Route("POST", "/v1/subscriptions", specs.SUBSCRIPTION_CREATE, subscriptions.create_subscription),
    Route("GET", "/v1/subscriptions", specs.SUBSCRIPTION_LIST, subscriptions.list_subscriptions),
    Route("GET", "/v1/subscriptions/:id", specs.NOTHING, _retrieve("subscription")),
    Route("POST", "/v1/subscriptions/:id", specs.SUBSCRIPTION_UPDATE, changes.update),
    Route("DELETE", "/v1/subscriptions/:id", specs.SUBSCRIPTION_CANCEL, subscriptions.cancel),
    Route("GET", "/v1/subscription_schedules", SCHEDULE_LIST, _filtered("subscription_schedule", "customer")),
    Route("GET", "/v1/subscription_schedules/:id", specs.NOTHING, _retrieve("subscription_schedule")),
    Route("POST", "/v1/subscription_schedules/:id/release", RELEASE, changes.release),
    Route("GET", "/v1/invoices", specs.INVOICE_LIST, invoicing.list_invoices),
    Route("GET", "/v1/invoices/:id", specs.NOTHING, _retrieve("invoice")),
    Route("GET", "/v1/invoices/:id/lines", specs.PAGE, _lines),
    Route("POST", "/v1/invoices/:id/pay", specs.NOTHING, invoicing.pay),
    Route("GET", "/v1/invoice_payments", specs.INVOICE_PAYMENT_LIST, invoicing.list_payments),
    Route("GET", "/v1/invoice_payments/:id", specs.NOTHING, _retrieve("invoice_payment")),
    Route("GET", "/v1/payment_intents/:id", specs.NOTHING, _retrieve("payment_intent")),
    Route("GET", "/v1/charges", specs.CHARGE_LIST, _filtered("charge", "customer", "payment_intent")),
    Route("GET", "/v1/charges/:id", specs.NOTHING, _retrieve("charge")),
    Route("POST", "/v1/refunds", specs.REFUND_CREATE, payments.create_refund),
    Route("GET", "/v1/refunds", specs.REFUND_LIST, _filtered("refund", "charge", "payment_intent")),
    Route("GET", "/v1/refunds/:id", specs.NOTHING, _retrieve("refund")),
    Route("GET", "/v1/disputes", specs.DISPUTE_LIST, _filtered("dispute", "charge", "payment_intent")),
    Route("GET", "/v1/disputes/:id", specs.NOTHING, _retrieve("dispute")),
    Route("GET", "/v1/events", specs.EVENT_LIST, _events),
    Route("GET", "/v1/events/:id", specs.NOTHING, _retrieve("event")),
]


def call(world: World, method: str, path: str, form: Obj) -> Obj:
    """The answer to one request of the API; raises `Refused`."""
    for route in ROUTES:
        if found := route.match(method, path):
            given = params.check(form, {**route.spec, "expand": EXPANSIONS})
            expansions = given.pop("expand", [])
            answer = route.answer(world, given, *found.groups())
            if isinstance(answer, list):
                answer = page_of(_created(answer, given), given, path)
            shown: Obj = public(answer)
            for expansion in expansions:
                _expand(world, shown, expansion.split("."), expansion)
            return shown
    raise Refused(f"Unrecognized request URL ({method}: {path}).", status=404)


def _created(objects: list[Obj], given: Obj) -> list[Obj]:
    tests: dict[str, Callable[[int, int], bool]] = {
        "gt": int.__gt__,
        "gte": int.__ge__,
        "lt": int.__lt__,
        "lte": int.__le__,
    }
    limits = (given.get("created") or {}).items()
    return [obj for obj in objects if all(tests[name](obj["created"], limit) for name, limit in limits)]


def _includable(world: World, shown: Obj, name: str) -> Obj | None:
    """What Stripe leaves out of an object unless asked."""
    id = shown.get("id", "")
    if (shown.get("object"), name) == ("checkout.session", "line_items"):
        return public(checkout.line_items_of(world.get("checkout.session", id)))
    if (shown.get("object"), name) == ("invoice", "payments"):
        return list_of(public(world.all("invoice_payment", invoice=id)), "/v1/invoice_payments")
    if (shown.get("object"), name) == ("charge", "refunds"):
        return list_of(public(world.all("refund", charge=id)), f"/v1/charges/{id}/refunds")
    if (shown.get("object"), name) == ("customer", "subscriptions"):
        found = subscriptions.list_subscriptions(world, {"customer": id})
        return list_of(public(found), f"/v1/customers/{id}/subscriptions")
    return None


def _expand(world: World, shown: Any, path: list[str], whole: str) -> None:
    if isinstance(shown, list):
        for each in shown:
            _expand(world, each, path, whole)
        return
    if shown is None:
        return
    name, *rest = path
    extra = _includable(world, shown, name)
    if extra is not None:
        shown.setdefault(name, extra)
    if name not in shown or (not rest and not _is_reference(world, shown[name])):
        raise Refused(f"This property cannot be expanded ({whole}).", param="expand")
    if isinstance(shown[name], str) and shown[name] in world.objects:
        shown[name] = public(world.objects[shown[name]])
    if rest:
        _expand(world, shown[name], rest, whole)


def _is_reference(world: World, value: Any) -> bool:
    return value is None or isinstance(value, dict) or value in world.objects
