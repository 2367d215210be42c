"""Who an account is at Stripe, and the lock under which it is moved to Stripe's state."""

from typing import Any

from billing import ledger, stripe_client
from billing.models import Account, StripeCustomer
from config.errors import from_status


def get_or_create(account: Account) -> str:
    """The account's customer id at Stripe; made there on first use. Of two at the same time, both get the same one."""
    known = StripeCustomer.objects.filter(account=account).first()
    if known is None:
        made = stripe_client.get_client().create_customer(public_id=account.user.public_id, email=account.user.email)
        known, _ = StripeCustomer.objects.get_or_create(account=account, defaults={"stripe_id": made["id"]})
    return known.stripe_id


def find(customer_id: str) -> Account | None:
    """The account of a customer of Stripe's; None for a customer that is not ours."""
    return Account.objects.filter(stripe_customer__stripe_id=customer_id).first()


def lock(account: Account) -> Account:
    """The account, read anew, with nobody else moving it to Stripe's state until the transaction ends.

    Whoever holds the lock asks Stripe while holding it. So the last to write has read last, and the order in which
    events arrive or are processed makes no difference.
    """
    StripeCustomer.objects.select_for_update(no_key=True).get(account=account)
    return ledger.get_account(account.user)


def require_owner(account: Account, remote: dict[str, Any]) -> None:
    """Raise ApiError 404 unless an object of Stripe's is the account's own."""
    if not StripeCustomer.objects.filter(account=account, stripe_id=remote["customer"]).exists():
        raise from_status(404)
