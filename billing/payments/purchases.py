"""Syncs an account with a Checkout session at Stripe: a pack that was paid for, refunded, or lost to a dispute.

The webhook and the page where customers land after Checkout both use this, whichever is first.
"""

from dataclasses import dataclass
from functools import partial

from django.db.models import F

from billing.credits import ledger
from billing.models import Account, PackPurchase, StripePrice
from billing.payments import client as stripe_client
from billing.payments import customers as stripe_customers
from billing.payments import subscriptions
from billing.payments.client import Json
from billing.payments.customers import Apply

LOST = "lost"
# Some banks take days; the credits are taken on the day of the refund.
GIVEN_BACK = ("succeeded", "pending")


@dataclass(frozen=True, slots=True)
class Reading:
    """A payment as read from Stripe: the Checkout session, the refunds of its charge, a dispute about it.

    `is_sale`: the event is about the payment, and not about its refund or dispute.
    """

    checkout: Json
    refunds: list[Json]
    dispute: Json | None = None
    is_sale: bool = True


def sync(account: Account, checkout_id: str) -> str:
    """Sync the account with a Checkout session. Returns what support has to look into, or an empty string."""
    return stripe_customers.sync(account, lambda account: read(account, checkout_id))


def read(account: Account, checkout_id: str, dispute: Json | None = None, *, is_sale: bool = True) -> Apply:
    """Read a Checkout session from Stripe, with its subscription or its refunds."""
    client = stripe_client.get_client()
    checkout = client.get_checkout(checkout_id)
    stripe_customers.require_owner(account, checkout)
    if checkout["mode"] == "subscription":
        return subscriptions.read(account, checkout["subscription"]) if checkout["subscription"] else nothing
    if checkout["mode"] != "payment" or checkout["payment_status"] != "paid":
        return nothing
    charge = checkout["payment_intent"].get("latest_charge")
    refunds = client.list_refunds(charge["id"]) if charge and charge["amount_refunded"] else []
    return partial(_apply, Reading(checkout, refunds, dispute, is_sale))


def read_charge(account: Account, charge: Json, dispute: Json | None = None) -> Apply:
    """Read the Checkout session that a charge paid for. A subscription's charge takes no credits back."""
    if not charge.get("payment_intent"):
        return nothing
    known = PackPurchase.objects.filter(payment_intent_id=charge["payment_intent"]).first()
    if known is not None:
        return read(account, known.checkout_id, dispute, is_sale=False)
    # The refund's event may arrive before the purchase's.
    found = stripe_client.get_client().find_checkout(charge["payment_intent"])
    return read(account, found["id"], dispute, is_sale=False) if found is not None else nothing


def nothing(account: Account) -> str:
    """Apply nothing."""
    return ""


def _apply(reading: Reading, account: Account) -> str:
    checkout = reading.checkout
    stripe_customers.require_owner(account, checkout)
    purchase = _fulfil(account, checkout)
    if purchase is None:
        return f"{checkout['id']} is for a price that sync_stripe did not make"
    _take_back_refunds(account, purchase, checkout["payment_intent"].get("latest_charge"), reading.refunds)
    if reading.dispute is not None:
        _follow_dispute(account, purchase, reading.dispute)
    if reading.is_sale and account.user.is_deleted and purchase.revoked < purchase.credits:
        return f"{checkout['id']} is paid for, and its account is deleted: refund it at Stripe"
    return ""


def _fulfil(account: Account, checkout: Json) -> PackPurchase | None:
    """Record the purchase and grant its credits, once per session. None for a price that is not ours."""
    [item] = checkout["line_items"]["data"]
    price = StripePrice.objects.filter(stripe_id=item["price"]["id"]).exclude(pack=None).first()
    if price is None:
        return None
    charge = checkout["payment_intent"].get("latest_charge") or {}
    purchase, _ = PackPurchase.objects.get_or_create(
        checkout_id=checkout["id"],
        defaults={
            "account": account,
            "price": price,
            "payment_intent_id": checkout["payment_intent"]["id"],
            "charge_id": charge.get("id", ""),
            "credits": price.credits * item["quantity"],
            "amount_cents": checkout["amount_total"],
        },
    )
    ledger.grant_prepaid(account, purchase.credits, reference=f"stripe:checkout:{purchase.checkout_id}", note="pack")
    return purchase


def _take_back_refunds(account: Account, purchase: PackPurchase, charge: Json | None, refunds: list[Json]) -> None:
    """Take each refund's share of the credits. Shares come from the running total, so a full refund takes all of them."""
    if not charge:
        return
    refunded = 0
    given_back = [one for one in refunds if one["status"] in GIVEN_BACK]
    for refund in sorted(given_back, key=lambda one: (one["created"], one["id"])):
        before = purchase.credits * refunded // charge["amount"]
        refunded += refund["amount"]
        share = purchase.credits * refunded // charge["amount"] - before
        _take_back(account, purchase, share, reference=f"stripe:refund:{refund['id']}")


def _follow_dispute(account: Account, purchase: PackPurchase, dispute: Json) -> None:
    PackPurchase.objects.filter(pk=purchase.pk).update(dispute_status=dispute["status"])
    if dispute["status"] == LOST:
        _take_back(account, purchase, purchase.credits, reference=f"stripe:dispute:{dispute['id']}")


def _take_back(account: Account, purchase: PackPurchase, credits: int, *, reference: str) -> None:
    """Take back up to `credits` of those not yet revoked. What was spent stays spent, and on record."""
    due = min(credits, purchase.credits - purchase.revoked)
    if due and not ledger.is_used(reference):
        taken = ledger.refund_prepaid(account, due, reference=reference, note=purchase.checkout_id, purchase=purchase)
        # Do not save the row: a hold voided meanwhile may increase `reclaimed`.
        row = PackPurchase.objects.filter(pk=purchase.pk)
        row.update(revoked=F("revoked") + due, **PackPurchase.reclaimed.plus(taken))
        purchase.revoked += due
