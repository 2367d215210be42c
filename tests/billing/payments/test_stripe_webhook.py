"""`POST /api/stripe/webhook`: what is accepted, what is stored, and how failures are handled."""

import io
import json
import time

import pytest
from celery.exceptions import Retry
from django.core.management import CommandError, call_command
from django.test import Client

from accounts.deletion import delete_account
from billing.credits import ledger
from billing.models import LedgerEntry, PackPurchase, StripeEvent, UsageWindow
from billing.payments import events as stripe_events
from billing.payments.client import PaymentProviderUnavailable
from billing.tasks import process_stripe_event
from tests.billing.payments.stripe_stub import event, sign

pytestmark = pytest.mark.django_db
URL = "/api/stripe/webhook"
JANUARY, FEBRUARY = 1767225600, 1769904000


def post(client, body, signature=None, **more):
    headers = {} if signature is None else {"Stripe-Signature": signature}
    return client.post(URL, body, content_type="application/json", headers=headers, **more)


BODY = json.dumps(event("customer.created", {"id": "cus_1", "object": "customer"})).encode()


@pytest.mark.parametrize(
    ("body", "signature"),
    [
        (BODY, None), (BODY, ""), (BODY, "nonsense"), (BODY, sign(BODY, secret="whsec_other")),
        (BODY.replace(b"cus_1", b"cus_2"), sign(BODY)), (BODY, sign(BODY, at=time.time() - 301)),
        (b"", sign(b"")), (b"[]", sign(b"[]")), (b"{}", sign(b"{}")), (b"nonsense", sign(b"nonsense")),
        (b"\xff", sign(BODY)),
    ],
    ids=["none", "empty", "nonsense", "other secret", "changed", "old", "no body", "a list", "no event", "no JSON", "bytes"],
)  # fmt: skip
def test_what_stripe_did_not_sign_leaves_no_row(client, stub, body, signature):
    response = post(client, body, signature)
    assert (response.status_code, response.json()["code"]) == (400, "invalid_signature")
    assert not StripeEvent.objects.exists()


@pytest.mark.parametrize("length", ["1000001", str(2**62), "nonsense"])
def test_a_large_body_is_refused_unread(client, stub, length):
    class Unread(io.RawIOBase):
        def readinto(self, buffer):
            raise AssertionError("read")

    response = client.generic("POST", URL, **{"CONTENT_LENGTH": length, "wsgi.input": Unread()})
    assert (response.status_code, response.json()["code"]) == (413, "payload_too_large")
    assert not StripeEvent.objects.exists()


@pytest.mark.parametrize(
    "change",
    [
        {"id": "evt_" + "x" * 256}, {"id": "evt_\x00"}, {"id": "evt_\ud800"}, {"id": 5}, {"id": {"a": 1}}, {"id": None},
        {"type": "t" * 101}, {"type": "customer.\x00"}, {"type": ["x"]}, {"livemode": "often"}, {"livemode": None},
        {"object": "o" * 256}, {"object": "\x00"}, {"object": "\udfff"}, {"object": 10**40}, {"object": {"id": "x"}},
        {"customer": "c" * 256}, {"customer": "\x00"}, {"customer": {"id": "cus_1"}}, {"customer": ["x"]}, {"customer": 7},
    ],
    ids=lambda change: "-".join(f"{name}: {value!r:.12}" for name, value in change.items()).replace("\\", ""),
)  # fmt: skip
def test_a_signed_event_that_cannot_be_stored_is_refused(client, stub, change):
    stripe_object = {"id": "in_1", "object": "invoice", "customer": "cus_1"}
    stripe_object |= {"id": change["object"]} if "object" in change else {}
    stripe_object |= {"customer": change["customer"]} if "customer" in change else {}
    own = {name: value for name, value in change.items() if name not in ("object", "customer")}
    body = json.dumps(event("invoice.paid", stripe_object, "evt_1") | own).encode()
    response = post(client, body, sign(body))
    assert (response.status_code, response.json()["code"]) == (400, "invalid_event")
    assert not StripeEvent.objects.exists()


def test_it_does_not_exist_without_stripe(client, db):
    assert post(client, BODY, sign(BODY)).status_code == 404


def test_it_needs_no_csrf_token_and_takes_only_post(stub, db):
    client = Client(enforce_csrf_checks=True)
    assert post(client, BODY, sign(BODY)).status_code == 204
    assert client.get(URL).status_code == 405


def test_an_event_of_no_interest_is_stored_and_ignored(send_event, customer):
    assert send_event("customer.created", {"id": "cus_1", "object": "customer"}).status_code == 204
    stored = StripeEvent.objects.get()
    assert (stored.status, stored.object_id, stored.customer_id) == ("ignored", "cus_1", "cus_1")


def test_an_unknown_customer_is_flagged(send_event, stub, db):
    stripe_object = stub.subscribe("Premium-1000", JANUARY, FEBRUARY)
    assert send_event("customer.subscription.created", stripe_object).status_code == 204
    assert StripeEvent.objects.get().status == "flagged"
    assert "unknown customer" in StripeEvent.objects.get().error


@pytest.mark.parametrize("kind", ["customer.subscription.created", "checkout.session.completed"])
def test_an_unknown_price_is_flagged(send_event, stub, customer, kind):
    stripe_object = stub.subscribe("price_x", JANUARY, FEBRUARY) if "subscription" in kind else stub.buy("price_x", 500)
    assert send_event(kind, stripe_object).status_code == 204
    stored = StripeEvent.objects.get()
    assert (stored.status, stored.account) == ("flagged", customer)
    assert "sync_stripe did not make" in stored.error
    assert not LedgerEntry.objects.exists()


def test_an_object_that_stripe_does_not_know_is_flagged(send_event, stub, customer):
    stripe_object = {"id": "sub_x", "object": "subscription", "customer": "cus_1"}
    assert send_event("customer.subscription.created", stripe_object).status_code == 204
    assert StripeEvent.objects.get().status == "flagged"


def test_a_failure_is_answered_503_and_the_next_try_succeeds(send_event, stub, customer, monkeypatch):
    stripe_object = stub.subscribe("Premium-1000", JANUARY, FEBRUARY)["latest_invoice"]

    def fail(stripe_id):
        raise PaymentProviderUnavailable

    with monkeypatch.context() as away:
        away.setattr(stub, "get_subscription", fail)
        assert send_event("invoice.paid", stripe_object).status_code == 503
        stored = StripeEvent.objects.get()
        assert (stored.status, stored.attempts) == ("failed", 1)
        assert stored.error == (
            "PaymentProviderUnavailable: The payment provider cannot be reached at the moment. "
            "Nothing was charged; try again in a minute."
        )
        with pytest.raises(CommandError, match="failed again"):
            call_command("replay_stripe_events", "--failed")
    assert send_event("invoice.paid", stripe_object).status_code == 204
    stored.refresh_from_db()
    assert (stored.status, stored.attempts, stored.error) == ("processed", 3, "")
    assert ledger.get_account(customer.user).plan.label == "Premium-1000"


def test_replaying_changes_nothing(send_event, stub, customer):
    stripe_object = stub.subscribe("Premium-1000", JANUARY, FEBRUARY)["latest_invoice"]
    send_event("invoice.paid", stripe_object)
    before = list(LedgerEntry.objects.values())
    call_command("replay_stripe_events", "--event", StripeEvent.objects.get().stripe_id)
    assert list(LedgerEntry.objects.values()) == before
    assert StripeEvent.objects.get().attempts == 2
    with pytest.raises(CommandError, match="no event 'evt_x'"):
        call_command("replay_stripe_events", "--event", "evt_x")


def test_one_fact_under_two_ids_is_one_renewal(send_event, stub, customer):
    stripe_object = stub.subscribe("Premium-1000", JANUARY, FEBRUARY)["latest_invoice"]
    assert {
        send_event("invoice.paid", stripe_object, "evt_a").status_code,
        send_event("invoice.paid", stripe_object, "evt_b").status_code,
    } == {204}
    assert UsageWindow.objects.count() == 1
    assert LedgerEntry.objects.filter(kind="renew").count() == 1


def test_a_worker_retries_later(stub, customer, monkeypatch):
    stored = stripe_events.receive(event("invoice.paid", {"id": "in_x", "object": "invoice", "customer": "cus_1"}))
    monkeypatch.setattr(stub, "get_invoice", lambda stripe_id: 1 / 0)
    monkeypatch.setattr(process_stripe_event, "apply_async", lambda *args, **options: None)
    process_stripe_event.push_request(args=(stored.pk,), kwargs={}, is_eager=False, called_directly=False, retries=2, id="x")
    try:
        with pytest.raises(Retry) as retry:
            process_stripe_event.run(stored.pk)
    finally:
        process_stripe_event.pop_request()
    assert retry.value.when == 40
    assert StripeEvent.objects.get().status == "failed"


@pytest.mark.parametrize(("ahead", "status"), [(290, 204), (330, 400), (10**9, 400)])
def test_a_signature_from_the_future_is_refused_beyond_the_same_tolerance(client, stub, ahead, status):
    assert post(client, BODY, sign(BODY, at=time.time() + ahead)).status_code == status
    assert StripeEvent.objects.exists() is (status == 204)


@pytest.mark.parametrize(
    "signature", ["t=", "t=x,v1=y", "t=٣,v1=y", "t=" + "9" * 400 + ",v1=y", "v1=y", "=,=,t", "t=-1,v1=y"]
)
def test_an_invalid_time_is_refused(client, stub, signature):
    response = post(client, BODY, signature.encode().decode("latin-1"))
    assert (response.status_code, response.json()["code"]) == (400, "invalid_signature")


def test_a_pack_that_is_paid_for_after_the_accounts_deletion_is_flagged(send_event, stub, customer):
    opened = stub.buy("100 credits", 500, paid=False)
    send_event("checkout.session.completed", opened)
    delete_account(customer.user)
    opened["payment_status"] = "paid"
    for number in range(2):
        assert send_event("checkout.session.async_payment_succeeded", opened, f"evt_{number}").status_code == 204
        stored = StripeEvent.objects.latest("id")
        assert (stored.status, stored.account) == ("flagged", customer)
        assert "is paid for, and its account is deleted" in stored.error
    assert PackPurchase.objects.get().credits == 100, "on record, so that a refund takes the credits back"
    stub.refund(opened["payment_intent"]["latest_charge"], 500)
    send_event("charge.refunded", opened["payment_intent"]["latest_charge"])
    assert StripeEvent.objects.latest("id").status == "processed"
    call_command("replay_stripe_events", "--event", "evt_0")
    assert StripeEvent.objects.get(stripe_id="evt_0").status == "processed", "it is refunded"


def test_a_refund_of_what_was_bought_before_the_deletion_is_not_flagged(send_event, stub, customer):
    bought = stub.buy("100 credits", 500)
    send_event("checkout.session.completed", bought)
    delete_account(customer.user)
    stub.refund(bought["payment_intent"]["latest_charge"], 100)
    send_event("charge.refunded", bought["payment_intent"]["latest_charge"])
    assert set(StripeEvent.objects.values_list("status", flat=True)) == {"processed"}


def test_a_subscription_that_begins_after_the_accounts_deletion_is_flagged(send_event, stub, customer):
    delete_account(customer.user)
    stripe_object = stub.subscribe("Premium-1000", JANUARY, FEBRUARY)
    send_event("invoice.paid", stripe_object["latest_invoice"])
    assert StripeEvent.objects.get().status == "flagged"
    assert "is still being paid for, and its account is deleted" in StripeEvent.objects.get().error
    stripe_object["cancel_at_period_end"] = True
    send_event("customer.subscription.updated", stripe_object)
    assert StripeEvent.objects.latest("id").status == "processed"
