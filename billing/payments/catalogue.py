"""Syncs our plans and packs to Stripe: products, prices and the customer portal. Prices are found by lookup key.

Prices cannot be edited at Stripe. A changed price gets a replacement, which takes over the lookup key, and the old price is
closed to new customers. Existing subscribers keep it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Q

from billing.models import CreditPack, Plan, StripePrice
from billing.payments import client as stripe_client
from billing.payments.client import StripeClient

CURRENCY = "usd"
PORTAL_NAME = "background-removal"


@dataclass(frozen=True, slots=True)
class Item:
    """A plan or pack for sale, with the price it should have."""

    lookup_key: str
    name: str
    amount_cents: int
    plan: Plan | None = None
    pack: CreditPack | None = None

    @property
    def credits(self) -> int:
        """Credits that a purchase grants. A plan's are granted with each cycle instead."""
        return self.pack.credits if self.pack else 0

    def is_priced_as(self, remote: dict[str, Any]) -> bool:
        """Whether a price at Stripe is still correct."""
        terms = (remote["unit_amount"], remote["currency"], remote["type"], (remote["metadata"] or {}).get("credits", "0"))
        return terms == (self.amount_cents, CURRENCY, "recurring" if self.plan else "one_time", str(self.credits))

    def price_params(self, product: str) -> dict[str, Any]:
        """The parameters for creating the price at Stripe."""
        recurring = {"recurring": {"interval": "month"}} if self.plan else {}
        return {
            "product": product,
            "unit_amount": self.amount_cents,
            "currency": CURRENCY,
            "lookup_key": self.lookup_key,
            "transfer_lookup_key": True,
            "metadata": {"credits": str(self.credits)},
        } | recurring


def items() -> Iterator[Item]:
    """Everything that costs money."""
    for plan in Plan.objects.filter(price_cents__gt=0):
        yield Item(f"plan_{plan.pk}", plan.label, plan.price_cents, plan=plan)
    for pack in CreditPack.objects.filter(price_cents__gt=0):
        yield Item(f"pack_{pack.pk}", pack.label, pack.price_cents, pack=pack)


def sync() -> list[str]:
    """Sync Stripe's catalogue with ours. Returns the changes made there, one line each; a second run changes nothing."""
    client = stripe_client.get_client()
    wanted = list(items())
    remote = client.find_prices([item.lookup_key for item in wanted])
    changes = [change for item in wanted for change in _sync_item(client, item, remote.get(item.lookup_key))]
    return [*changes, *_sync_portal(client)]


def _sync_item(client: StripeClient, item: Item, remote: dict[str, Any] | None) -> Iterator[str]:
    if remote is None:
        product = client.create_product(item.name, key=item.lookup_key)["id"]
        yield f"{item.name}: made"
    else:
        product = remote["product"]["id"]
        if remote["product"]["name"] != item.name:
            client.rename_product(product, item.name)
            yield f"{item.name}: renamed from {remote['product']['name']}"
    if remote is None or not item.is_priced_as(remote):
        # The number of earlier prices makes the key different for each replacement.
        key = f"{item.lookup_key}:{StripePrice.objects.filter(lookup_key=item.lookup_key).count()}:{item.amount_cents}"
        made = client.create_price(item.price_params(product), key=key)
        _keep(item, made["id"], product)
        if remote is not None:
            client.deactivate_price(remote["id"])
            yield f"{item.name}: new price, {item.amount_cents} cents"
    else:
        _keep(item, remote["id"], product)


@transaction.atomic
def _keep(item: Item, price: str, product: str) -> None:
    StripePrice.objects.filter(~Q(stripe_id=price), lookup_key=item.lookup_key).update(is_active=False)
    StripePrice.objects.update_or_create(
        stripe_id=price,
        defaults={
            "product_id": product,
            "lookup_key": item.lookup_key,
            "plan": item.plan,
            "pack": item.pack,
            "amount_cents": item.amount_cents,
            "credits": item.credits,
            "is_active": True,
        },
    )


def _sync_portal(client: StripeClient) -> Iterator[str]:
    """The customer portal: upgrades apply and are paid immediately, downgrades apply when the paid period ends."""
    known = client.find_portal(PORTAL_NAME)
    prices = StripePrice.objects.filter(is_active=True).exclude(plan=None).order_by("plan__position")
    products = [{"product": price.product_id, "prices": [price.stripe_id]} for price in prices]
    if known is not None and _offered(known) == {price.stripe_id for price in prices}:
        return
    update = {
        "enabled": True,
        "default_allowed_updates": ["price"],
        "proration_behavior": "always_invoice",
        "schedule_at_period_end": {"conditions": [{"type": "decreasing_item_amount"}]},
        "products": products,
    }
    features = {
        "customer_update": {"enabled": True, "allowed_updates": ["email", "address", "tax_id"]},
        "invoice_history": {"enabled": True},
        "payment_method_update": {"enabled": True},
        "subscription_cancel": {"enabled": True, "mode": "at_period_end"},
        "subscription_update": update,
    }
    client.save_portal(
        known["id"] if known else None, {"features": features, "metadata": {"name": PORTAL_NAME, "prices": _tag(products)}}
    )
    yield "customer portal: saved"


def _tag(products: list[dict[str, Any]]) -> str:
    return " ".join(price for product in products for price in product["prices"])


def _offered(portal: dict[str, Any]) -> set[str]:
    """The prices that the portal offers. Stripe does not return the portal's list unless asked."""
    return set((portal.get("metadata") or {}).get("prices", "").split())
