"""Moves an account to what Stripe says of a Checkout session: a pack that was paid for, refunded, or lost to a dispute.

The webhook and the page that customers land on after Checkout both end here, whichever comes first.
"""

from typing import Any

from django.db import transaction
from django.db.models import F

from billing import ledger, stripe_client, stripe_customers, subscriptions
from billing.models import Account, PackPurchase, StripePrice

LOST = "lost"
# Some banks take days; the credits are gone from the day of the refund.
GIVEN_BACK = ("succeeded", "pending")


@transaction.atomic
def match(account: Account, checkout_id: str, dispute: dict[str, Any] | None = None) -> str:
    """Make our state match a Checkout session. Returns what support has to look into, or an empty text."""
    account = stripe_customers.lock(account)
    checkout = stripe_client.get_client().get_checkout(checkout_id)
    stripe_customers.require_owner(account, checkout)
    if checkout["mode"] == "subscription":
        return subscriptions.match(account, checkout["subscription"]) if checkout["subscription"] else ""
    if checkout["mode"] != "payment" or checkout["payment_status"] != "paid":
        return ""
    purchase = _fulfil(account, checkout)
    if purchase is None:
        return f"{checkout_id} is for a price that sync_stripe did not make"
    _take_back_refunds(account, purchase, checkout["payment_intent"].get("latest_charge"))
    if dispute is not None:
        _follow_dispute(account, purchase, dispute)
    return ""


def match_charge(account: Account, charge: dict[str, Any], dispute: dict[str, Any] | None = None) -> str:
    """The same for the Checkout session that a charge paid for. A subscription's charge takes no credits back."""
    if not charge.get("payment_intent"):
        return ""
    known = PackPurchase.objects.filter(payment_intent_id=charge["payment_intent"]).first()
    if known is not None:
        return match(account, known.checkout_id, dispute)
    # The refund may be told of before the purchase.
    found = stripe_client.get_client().find_checkout(charge["payment_intent"])
    return match(account, found["id"], dispute) if found is not None else ""


def _fulfil(account: Account, checkout: dict[str, Any]) -> PackPurchase | None:
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


def _take_back_refunds(account: Account, purchase: PackPurchase, charge: dict[str, Any] | None) -> None:
    """Each refund takes its share of the credits. Shares are cut from the running total: all of the money is all of them."""
    if not charge or not charge["amount_refunded"]:
        return
    refunded = 0
    refunds = [one for one in stripe_client.get_client().list_refunds(charge["id"]) if one["status"] in GIVEN_BACK]
    for refund in sorted(refunds, key=lambda one: (one["created"], one["id"])):
        before = purchase.credits * refunded // charge["amount"]
        refunded += refund["amount"]
        share = purchase.credits * refunded // charge["amount"] - before
        _take_back(account, purchase, share, reference=f"stripe:refund:{refund['id']}")


def _follow_dispute(account: Account, purchase: PackPurchase, dispute: dict[str, Any]) -> None:
    PackPurchase.objects.filter(pk=purchase.pk).update(dispute_status=dispute["status"])
    if dispute["status"] == LOST:
        _take_back(account, purchase, purchase.credits, reference=f"stripe:dispute:{dispute['id']}")


def _take_back(account: Account, purchase: PackPurchase, credits: int, *, reference: str) -> None:
    """Take up to `credits` back, of those not revoked before: what was spent stays spent, and on record."""
    due = min(credits, purchase.credits - purchase.revoked)
    if due and not ledger.is_used(reference):
        taken = ledger.refund_prepaid(account, due, reference=reference, note=purchase.checkout_id, purchase=purchase)
        # Not by saving the row: a hold that is voided meanwhile may add to what was taken back.
        row = PackPurchase.objects.filter(pk=purchase.pk)
        row.update(revoked=F("revoked") + due, taken_back=F("taken_back") + taken)
        purchase.revoked += due
