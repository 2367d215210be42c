"""Syncs of one account with Stripe take turns, and an older reading is never applied over a newer one."""

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from billing.credits import ledger
from billing.models import LedgerEntry, PackPurchase, StripeCustomer, StripeEvent
from billing.payments import client as stripe_client
from billing.payments import customers as stripe_customers
from billing.payments import purchases, subscriptions
from billing.payments.client import PaymentProviderUnavailable
from billing.payments.customers import PaymentAccountBusy
from tests.billing.conftest import moment
from tests.billing.payments.stripe_stub import StripeStub

pytestmark = pytest.mark.django_db
START, END = int(moment("2026-01-31 10:00").timestamp()), int(moment("2026-02-28 10:00").timestamp())


def plan_of(customer) -> str:
    return ledger.get_account(customer.user).plan.label


def lease_ends(**fields) -> None:
    """End the lease of the running sync."""
    StripeCustomer.objects.update(leased_until=timezone.now() - timedelta(seconds=1), **fields)


def test_an_older_reading_is_not_applied_over_a_newer_one(send_event, stub, customer, monkeypatch):
    """The first worker reads, and is so slow that a second one takes over, reads newer state and applies it."""
    subscription = stub.subscribe("Premium-1000", START, END)
    readings = []

    def slowly(stripe_id, read=stub.get):
        read_before = read(stripe_id)
        readings.append(read_before["items"]["data"][0]["price"]["id"])
        if len(readings) == 1:
            lease_ends()
            subscription["items"]["data"][0]["price"]["id"] = "Premium-5000"
            stub.bill(subscription)
            assert send_event("customer.subscription.updated", subscription, "evt_second").status_code == 204
            assert plan_of(customer) == "Premium-5000"
        return read_before

    monkeypatch.setattr(stub, "get_subscription", slowly)
    assert send_event("customer.subscription.created", subscription, "evt_first").status_code == 204
    assert readings == ["Premium-1000", "Premium-5000", "Premium-5000"], "the first one has read again"
    assert plan_of(customer) == "Premium-5000"
    assert not LedgerEntry.objects.filter(available=1000).exists(), "the older reading was never applied"
    assert set(StripeEvent.objects.values_list("status", "attempts")) == {("processed", 1)}


def test_a_dispute_that_was_read_before_it_was_lost_takes_nothing_back_from_the_later_reading(
    send_event, stub, customer, monkeypatch
):
    checkout = stub.buy("100 credits", 500)
    send_event("checkout.session.completed", checkout)
    charge = checkout["payment_intent"]["latest_charge"]
    dispute = stub.put("dp", object="dispute", charge=charge["id"], status="needs_response")
    readings = []

    def slowly(stripe_id, read=stub.get):
        read_before = read(stripe_id)
        readings.append(read_before["status"])
        # The first reading finds the customer, the second happens under the lease.
        if len(readings) == 2:
            lease_ends()
            dispute["status"] = "lost"
            assert send_event("charge.dispute.closed", dispute).status_code == 204
        return read_before

    monkeypatch.setattr(stub, "get_dispute", slowly)
    assert send_event("charge.dispute.created", dispute).status_code == 204
    purchase = PackPurchase.objects.get()
    assert (purchase.dispute_status, purchase.revoked, purchase.taken_back) == ("lost", 100, 100)
    assert ledger.get_account(customer.user).prepaid_balance == 0


def test_a_killed_process_keeps_others_out_until_its_lease_ends(send_event, stub, customer, monkeypatch):
    monkeypatch.setattr(stripe_customers, "WAIT_SECONDS", 0.2)
    stripe_object = stub.subscribe("Premium-1000", START, END)
    StripeCustomer.objects.update(lease=uuid.uuid4(), leased_until=timezone.now() + stripe_customers.LEASE)
    assert send_event("customer.subscription.created", stripe_object).status_code == 503
    assert StripeEvent.objects.get().status == "failed"
    with pytest.raises(PaymentAccountBusy):
        subscriptions.sync(customer, stripe_object["id"])
    lease_ends()
    assert send_event("customer.subscription.created", stripe_object).status_code == 204
    assert plan_of(customer) == "Premium-1000"
    assert StripeCustomer.objects.values_list("lease", "leased_until").get() == (None, None)


def test_a_waiting_sync_continues_as_soon_as_the_lease_is_released(stub, customer, monkeypatch):
    stripe_object = stub.subscribe("Premium-1000", START, END)
    StripeCustomer.objects.update(lease=uuid.uuid4(), leased_until=timezone.now() + stripe_customers.LEASE)
    slept = []

    def sleep(seconds):
        slept.append(seconds)
        StripeCustomer.objects.update(lease=None, leased_until=None)

    monkeypatch.setattr("billing.payments.customers.time.sleep", sleep)
    assert subscriptions.sync(customer, stripe_object["id"]) == ""
    assert len(slept) == 1


def test_a_lease_is_released_when_stripe_does_not_answer(stub, customer, monkeypatch):
    def fail(stripe_id):
        raise PaymentProviderUnavailable

    monkeypatch.setattr(stub, "get_subscription", fail)
    with pytest.raises(PaymentProviderUnavailable):
        subscriptions.sync(customer, "sub_1")
    assert StripeCustomer.objects.get().lease is None


def test_a_sync_gives_up_if_its_reading_is_always_out_of_date(stub, customer, monkeypatch):
    stripe_object = stub.subscribe("Premium-1000", START, END)

    def taken_over(stripe_id, read=stub.get):
        StripeCustomer.objects.update(lease=uuid.uuid4())
        lease_ends()
        return read(stripe_id)

    monkeypatch.setattr(stub, "get_subscription", taken_over)
    with pytest.raises(PaymentAccountBusy):
        subscriptions.sync(customer, stripe_object["id"])
    assert plan_of(customer) == "Free"


def test_a_subscription_that_began_after_the_reading_is_read_too(stub, customer, monkeypatch):
    """Without our lease: a process of the previous release has no leases."""
    ended = stub.subscribe("Premium-1000", START, END)
    subscriptions.sync(customer, ended["id"])
    ended["status"] = "canceled"
    newer = stub.subscribe("Premium-5000", START + 60, END + 60)
    asked = []

    def another_begins(stripe_id, read=stub.get):
        asked.append(stripe_id)
        found = read(stripe_id)
        if len(asked) == 1:
            subscriptions._record(customer, newer)
        return found

    monkeypatch.setattr(stub, "get_subscription", another_begins)
    subscriptions.sync(customer, ended["id"])
    assert plan_of(customer) == "Premium-5000"
    assert asked[-1] == newer["id"]


# --- No transaction waits for Stripe ------------------------------------------------------------------


def test_stripe_is_not_called_inside_a_transaction(settings):
    settings.STRIPE_SECRET_KEY, settings.STRIPE_API_BASE = "sk_test_1", "http://127.0.0.1:1"
    client = stripe_client.get_client()
    calls = [
        lambda: client.get_subscription("sub_1"), lambda: client.list_checkouts("cus_1"),
        lambda: client.create_customer(public_id="u_1", email="a@example.com"), lambda: client.find_prices(["a"]),
    ]  # fmt: skip
    for call in calls:
        with transaction.atomic(), pytest.raises(RuntimeError, match="inside a transaction"):
            call()


def test_a_sync_inside_a_transaction_does_not_even_wait_for_its_turn(stub, customer):
    with transaction.atomic(), pytest.raises(RuntimeError, match="inside a transaction"):
        subscriptions.sync(customer, "sub_1")
    assert StripeCustomer.objects.get().lease is None


def test_every_method_of_the_client_is_guarded(settings, monkeypatch):
    settings.STRIPE_SECRET_KEY, settings.STRIPE_API_BASE = "sk_test_1", "http://127.0.0.1:1"
    client = stripe_client.get_client()
    arguments: dict[str, list[Any]] = {
        "get_subscription": ["sub_1"], "get_invoice": ["in_1"], "get_checkout": ["cs_1"], "find_checkout": ["pi_1"],
        "get_charge": ["ch_1"], "get_dispute": ["dp_1"], "list_refunds": ["ch_1"], "list_invoices": ["cus_1"],
        "list_subscriptions": ["cus_1"], "list_checkouts": ["cus_1"], "find_prices": [["a"]], "find_portal": ["a"],
        "create_checkout": [{}], "rename_product": ["prod_1", "a"], "deactivate_price": ["price_1"],
        "save_portal": [None, {}],
    }  # fmt: skip
    named: dict[str, dict[str, Any]] = {
        "create_customer": {"public_id": "u_1", "email": "a@example.com"}, "create_product": {"name": "a", "key": "k"},
        "create_portal_session": {"customer": "cus_1", "return_url": "a", "configuration": None},
        "create_price": {"params": {}, "key": "k"},
    }  # fmt: skip
    methods = {name for name in vars(type(client)) if not name.startswith("_")}
    assert methods == arguments.keys() | named.keys()
    for name in sorted(methods):
        with transaction.atomic(), pytest.raises(RuntimeError, match="inside a transaction"):
            getattr(client, name)(*arguments.get(name, []), **named.get(name, {}))


def test_the_reading_of_a_checkout_is_one_value(stub: StripeStub, customer):
    """Exactly what was read is applied: applying makes no calls."""
    checkout = stub.buy("100 credits", 500)
    apply = purchases.read(customer, checkout["id"])
    stub.objects.clear()
    with transaction.atomic():
        assert apply(ledger.get_account(customer.user)) == ""
    assert ledger.get_account(customer.user).prepaid_balance == 100
