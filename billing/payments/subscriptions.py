"""Syncs an account with its subscription at Stripe. Every event about a subscription ends here, as does `replay`.

The subscription is read again, under a lease, and our state synced with it. So events may repeat and arrive in any order.
"""

from datetime import UTC, datetime
from functools import partial
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext

from accounts.models import User
from billing.credits import ledger
from billing.models import Account, Plan, StripePrice, Subscription, UsageWindow
from billing.payments import client as stripe_client
from billing.payments import customers as stripe_customers
from billing.payments.customers import Apply, OutOfDate

FLAG_NONE = ""


def sync(account: Account, stripe_id: str) -> str:
    """Sync the account with a subscription. Returns what support has to look into, or an empty string."""
    return stripe_customers.sync(account, lambda account: read(account, stripe_id))


def read(account: Account, stripe_id: str) -> Apply:
    """Read a subscription from Stripe and, if it has ended, the one that counts instead."""
    client = stripe_client.get_client()
    found = [client.get_subscription(stripe_id)]
    while found[-1]["status"] not in Subscription.LIVE:
        other = _live(account).exclude(stripe_id__in=[one["id"] for one in found]).first()
        if other is None:
            break
        found.append(client.get_subscription(other.stripe_id))
    return partial(_apply, found)


def _apply(found: list[dict[str, Any]], account: Account) -> str:
    for remote in found:
        stripe_customers.require_owner(account, remote)
        known = _record(account, remote)
        if known.is_live:
            return _sync_live(account, known, remote)
    if find_live(account) is not None:
        # It was created after Stripe was read.
        raise OutOfDate
    if account.cycle is not None:
        _end(account, account.cycle, known)
    return FLAG_NONE


def _sync_live(account: Account, known: Subscription, remote: dict[str, Any]) -> str:
    """Provide what a live subscription has paid for, if it is the one that counts."""
    # Two at once are a mistake for support to fix. Until then the older one counts, whichever event arrives first.
    leading = find_live(account)
    if leading is not None and leading != known:
        return f"{known.stripe_id} is a second live subscription; {leading.stripe_id} counts"
    if known.price is None or known.price.plan is None:
        return f"{known.stripe_id} is for a price that sync_stripe did not make"
    if _is_paid(remote):
        _provision(account, known, known.price.plan)
    if account.user.is_deleted and not known.cancel_at_period_end:
        return f"{known.stripe_id} is still being paid for, and its account is deleted"
    return FLAG_NONE


def find_live(account: Account) -> Subscription | None:
    """The subscription that counts, if there is one."""
    return _live(account).select_related("price__plan").first()


def object_to_deletion(user: User) -> str | None:
    """Why an account cannot be deleted yet: its subscription would keep charging."""
    account = Account.objects.filter(user=user).first()
    if account is None or (running := find_live(account)) is None or running.cancel_at_period_end:
        return None
    return gettext(
        "Your subscription is still running. Cancel it on the billing page first; then you can delete your account."
    )


def describe(remote: dict[str, Any]) -> dict[str, Any]:
    """The values that we store of a subscription, by field name."""
    item = remote["items"]["data"][0]
    return {
        "status": remote["status"],
        "price": StripePrice.objects.select_related("plan").filter(stripe_id=item["price"]["id"]).first(),
        # Newer portals set a cancellation date instead of the flag for the period's end.
        "cancel_at_period_end": bool(remote["cancel_at_period_end"] or remote.get("cancel_at")),
        "period_start": moment(item["current_period_start"]),
        "period_end": moment(item["current_period_end"]),
        "started_at": moment(remote["created"]),
        "ended_at": moment(remote["ended_at"]) if remote.get("ended_at") else None,
    }


def moment(seconds: int) -> datetime:
    """Convert a Stripe timestamp, in Unix seconds, to a UTC datetime."""
    return datetime.fromtimestamp(seconds, UTC)


def _record(account: Account, remote: dict[str, Any]) -> Subscription:
    values = describe(remote) | {"account": account}
    known, _ = Subscription.objects.update_or_create(stripe_id=remote["id"], defaults=values)
    return known


def _live(account: Account) -> QuerySet[Subscription]:
    """The live subscriptions, the one that counts first."""
    return Subscription.objects.filter(account=account, status__in=Subscription.LIVE).order_by("started_at", "stripe_id")


def _is_paid(remote: dict[str, Any]) -> bool:
    """Whether the current period is paid for. While Stripe retries a failed payment, the last cycle continues."""
    invoice = remote.get("latest_invoice")
    return remote["status"] in ("active", "trialing") and invoice is not None and invoice["status"] == "paid"


def _provision(account: Account, paid: Subscription, plan: Plan) -> None:
    """Open the paid period as the account's cycle, or raise the allowance of the open cycle."""
    cycle = account.cycle
    if cycle is not None and cycle.start > paid.period_start:
        return
    if paid.status == "trialing":
        _provision_trial(account, paid, plan)
    elif cycle is None or cycle.start < paid.period_start:
        ledger.renew(account, plan, paid.period_start, paid.period_end)
    elif plan.included_credits > account.plan.included_credits:
        # A smaller plan waits for the next cycle: this one is paid for.
        ledger.upgrade(account, plan, cycle)


def _provision_trial(account: Account, trial: Subscription, plan: Plan) -> None:
    """Grant the plan's trial credits beyond Free. Without any, the account stays on Free and its calendar month."""
    if plan.trial_credits and account.cycle is None:
        free = Plan.objects.get(label=ledger.FREE_PLAN)
        ledger.renew(account, free, trial.period_start, trial.period_end, extra=plan.trial_credits)


def _end(account: Account, cycle: UsageWindow, ended: Subscription) -> None:
    """Return the account to Free: no other subscription is live."""
    now = timezone.now()
    at = ended.ended_at if ended.ended_at and cycle.start < ended.ended_at <= now else now
    ledger.end_subscription(account, at)
