"""Compares our state of an account with Stripe's, and syncs it. Comparing changes nothing."""

from collections.abc import Iterator

from billing.credits import due
from billing.credits.prices import format_credits
from billing.models import Account, LedgerEntry, PackPurchase, Subscription
from billing.payments import client as stripe_client
from billing.payments import purchases, subscriptions
from billing.payments.client import Json

COMPARED = ("status", "price", "cancel_at_period_end", "period_start", "period_end")


def differences(account: Account) -> list[str]:
    """The differences, one line each."""
    if not hasattr(account, "stripe_customer"):
        return []
    customer = account.stripe_customer.stripe_id
    client = stripe_client.get_client()
    return [
        *_compare_subscriptions(account, client.list_subscriptions(customer)),
        *_compare_plan(account),
        *_compare_purchases(account, client.list_checkouts(customer)),
    ]


def sync(account: Account) -> None:
    """Sync the account with Stripe, as lost webhooks would have done."""
    customer = account.stripe_customer.stripe_id
    client = stripe_client.get_client()
    for remote in client.list_subscriptions(customer):
        subscriptions.sync(account, remote["id"])
    for remote in client.list_checkouts(customer):
        purchases.sync(account, remote["id"])


def _compare_subscriptions(account: Account, remote: list[Json]) -> Iterator[str]:
    known = {one.stripe_id: one for one in Subscription.objects.filter(account=account).select_related("price")}
    for one in remote:
        ours = known.pop(one["id"], None)
        if ours is None:
            yield f"subscription {one['id']} ({one['status']}) is not known here"
            continue
        theirs = subscriptions.describe(one)
        for field in COMPARED:
            if getattr(ours, field) != theirs[field]:
                yield f"subscription {one['id']}: {field} is {getattr(ours, field)}, Stripe says {theirs[field]}"
    yield from (f"subscription {missing} is not known to Stripe" for missing in known)


def _compare_plan(account: Account) -> Iterator[str]:
    """Compare plan and cycle with the subscription that counts. A smaller plan may wait for the renewal."""
    running = subscriptions.find_live(account)
    if running is None:
        if account.cycle is not None:
            yield f"plan is {account.plan} with a billing cycle, without a live subscription"
    elif running.status == "active" and running.price is not None and running.price.plan is not None:
        if account.cycle is None or account.cycle.start != running.period_start:
            yield f"the billing cycle is {account.cycle}, the subscription's starts {running.period_start:%Y-%m-%d}"
        elif running.price.plan.included_credits > account.plan.included_credits:
            yield f"plan is {account.plan}, the subscription's is {running.price.plan}"


def _compare_purchases(account: Account, remote: list[Json]) -> Iterator[str]:
    granted = LedgerEntry.objects.filter(account=account, reference__startswith="stripe:checkout:")
    known = {reference.removeprefix("stripe:checkout:") for reference in granted.values_list("reference", flat=True)}
    paid = {one["id"] for one in remote if one["mode"] == "payment" and one["payment_status"] == "paid"}
    yield from (f"pack of {missing} is paid for and not granted" for missing in sorted(paid - known))
    yield from (f"pack of {extra} is granted and not paid for" for extra in sorted(known - paid))
    on_hold = due.outstanding(account)
    for purchase in PackPurchase.objects.filter(account=account, checkout_id__in=paid & known):
        if spent := purchase.spent_before_refund - on_hold[purchase.checkout_id]:
            yield f"pack of {purchase}: {format_credits(spent)} credits were spent before the refund"
