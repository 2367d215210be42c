"""Accounts, times and a Stripe stub for the billing tests."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from billing.credits import ledger
from billing.models import Account, CreditPack, Plan, StripeCustomer, StripePrice, UsageWindow
from billing.payments import client as stripe_client
from tests.billing.payments.stripe_stub import CUSTOMER, SECRET, StripeStub, event, sign
from tests.billing.support.staff import browser_of, make_staff


@pytest.fixture
def account(user: User) -> Account:
    """The account of the customer, on the free plan."""
    return ledger.get_account(user)


def moment(text: str) -> datetime:
    """A time in UTC, such as `2026-02-25 00:00`."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def spend(account: Account, *, api: int = 0, app: int = 0) -> None:
    """Post that many credits of each channel."""
    for channel, count in (("api", api), ("app", app)):
        for _ in range(count):
            ledger.post(ledger.hold(account, channel=channel, key=None, request_id="test-request"))


def current_window(account: Account) -> UsageWindow:
    """The newest window, read from the database."""
    return UsageWindow.objects.filter(account=account).latest("start")


@pytest.fixture
def stub(settings, monkeypatch: pytest.MonkeyPatch) -> StripeStub:
    """Payment switched on, with a Stripe stub in place of the client."""
    settings.STRIPE_SECRET_KEY, settings.STRIPE_WEBHOOK_SECRET = "sk_test_1", SECRET
    made = StripeStub()
    monkeypatch.setattr(stripe_client, "get_client", lambda: made)
    return made


@pytest.fixture
def customer(account: Account, stub: StripeStub) -> Account:
    """The account, known to Stripe, with a price for everything on sale."""
    StripeCustomer.objects.create(account=account, stripe_id=CUSTOMER)
    for plan in Plan.objects.filter(price_cents__gt=0):
        StripePrice.objects.create(
            stripe_id=plan.label, lookup_key=f"plan_{plan.pk}", plan=plan, amount_cents=plan.price_cents
        )
    for pack in CreditPack.objects.all():
        StripePrice.objects.create(
            stripe_id=pack.label,
            lookup_key=f"pack_{pack.pk}",
            pack=pack,
            credits=pack.credits,
            amount_cents=pack.price_cents,
        )
    return account


@pytest.fixture
def send_event(client: Client) -> Callable[..., Any]:
    """Sends a signed event to the webhook."""

    def send(kind: str, stripe_object: dict, event_id: str | None = None) -> Any:
        body = json.dumps(event(kind, stripe_object, event_id)).encode()
        return client.post(
            "/api/stripe/webhook", body, content_type="application/json", headers={"Stripe-Signature": sign(body)}
        )

    return send


@pytest.fixture
def support(db: None) -> Client:
    """The browser of a member of the group Support."""
    return browser_of(make_staff("Support"))


@pytest.fixture
def reader(db: None) -> Client:
    """The browser of a member of the group Readers."""
    return browser_of(make_staff("Readers"))
