"""A customer's whole life at the fake Stripe: events in any order, twice or under other ids give the same end state."""

import io
import random
from collections.abc import Iterator

import pytest
from django.core.management import call_command
from django.test import Client

from billing.credits import ledger
from billing.models import Account, LedgerEntry, PackPurchase, StripeEvent, StripePrice, UsageWindow
from billing.payments import client as stripe_client
from billing.payments import customers as stripe_customers
from tests.billing.payments.stripe_stub import undone
from tests.examples import EXHAUSTIVE
from tests.fakes.stripe_server import StripeFake

pytestmark = pytest.mark.django_db
DAY = 24 * 3600


@pytest.fixture
def stripe(settings, account: Account) -> Iterator[StripeFake]:
    """Payment switched on, everything on sale, the account known to Stripe."""
    with StripeFake() as fake:
        settings.STRIPE_SECRET_KEY, settings.STRIPE_WEBHOOK_SECRET = "sk_test_1", "whsec_test"
        settings.STRIPE_API_BASE = fake.url
        call_command("sync_stripe", stdout=io.StringIO())
        stripe_customers.get_or_create(account)
        yield fake


def buy(stripe: StripeFake, account: Account, **what: object) -> dict:
    price = StripePrice.objects.get(is_active=True, **what)
    params = {
        "mode": "subscription" if price.plan else "payment",
        "customer": stripe_customers.get_or_create(account),
        "line_items": [{"price": price.stripe_id, "quantity": 1}],
        "success_url": "https://example.com/done",
    }
    return stripe.pay(stripe_client.get_client().create_checkout(params)["id"])


def send_event(client: Client, stripe: StripeFake, events: list[dict]) -> None:
    for event in events:
        body, signature = stripe.signed(event)
        headers = {"Stripe-Signature": signature}
        response = client.post("/api/stripe/webhook", body, content_type="application/json", headers=headers)
        assert response.status_code == 204


def state(account: Account) -> tuple:
    now = ledger.get_account(account.user)
    windows = UsageWindow.objects.filter(kind="cycle").order_by("start").values_list("start", "end", "allowance")
    return now.plan.label, now.prepaid_balance, now.cycle and now.cycle.start, list(windows)


def test_a_card_that_fails_keeps_the_cycle_until_stripe_gives_up(client, stripe, account):
    buy(stripe, account, plan__label="Premium-1000")
    send_event(client, stripe, stripe.events())
    stripe.set_card(stripe_customers.get_or_create(account))
    seen = len(stripe.events())
    stripe.advance(stripe.now + 32 * DAY)
    send_event(client, stripe, stripe.events()[seen:])
    assert account.subscriptions.get().status == "past_due"
    assert state(account)[0] == "Premium-1000"
    assert UsageWindow.objects.filter(kind="cycle").count() == 1
    seen = len(stripe.events())
    stripe.advance(stripe.now + 40 * DAY)
    send_event(client, stripe, stripe.events()[seen:])
    assert account.subscriptions.get().status == "canceled"
    assert state(account)[0] == "Free"
    assert call_command("reconcile", "--stripe", stdout=io.StringIO()) is None


def test_any_order_of_events_has_the_same_end(client, stripe, account):
    buy(stripe, account, plan__label="Premium-1000")
    packs = [buy(stripe, account, pack__credits=100), buy(stripe, account, pack__credits=500)]
    stripe.advance(stripe.now + 32 * DAY)
    checkout = stripe_client.get_client().get_checkout(packs[0]["id"])
    charge = checkout["payment_intent"]["latest_charge"]["id"]
    stripe.refund(charge, 250)
    other = stripe_client.get_client().get_checkout(packs[1]["id"])["payment_intent"]["latest_charge"]["id"]
    stripe.dispute(other)
    stripe.dispute(other, "lost")
    events = stripe.events()
    events += [stripe.twin(event["id"]) for event in events]
    ends = []
    for seed in range(12 if EXHAUSTIVE else 3):
        shuffled = events[:]
        random.Random(seed).shuffle(shuffled)  # noqa: S311
        with undone():
            send_event(client, stripe, shuffled)
            assert not StripeEvent.objects.filter(status__in=("failed", "flagged", "received")).exists()
            assert LedgerEntry.objects.filter(reference__startswith="stripe:checkout:").count() == 2
            assert sorted(PackPurchase.objects.values_list("credits", "revoked", "taken_back")) == [
                (100, 50, 50),
                (500, 500, 500),
            ]
            ends.append(state(account))
    assert all(end == ends[0] for end in ends)
    assert ends[0][:2] == ("Premium-1000", 50)
