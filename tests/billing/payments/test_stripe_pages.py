"""The billing pages, the catalogue at Stripe and the client, against the fake Stripe."""

import io
import re
import uuid
from collections.abc import Iterator

import pytest
import stripe as stripe_sdk
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from accounts.models import User
from billing.credits import ledger
from billing.models import Account, CreditPack, LedgerEntry, Plan, StripeEvent, StripePrice, Subscription
from billing.payments import client as stripe_client
from billing.payments import customers as stripe_customers
from billing.payments.client import CardDeclined, PaymentObjectUnknown
from lib.web.errors import get_translation
from tests.billing.conftest import spend
from tests.fakes.stripe_server import StripeFake

pytestmark = pytest.mark.django_db


@pytest.fixture
def stripe(settings, db: None) -> Iterator[StripeFake]:
    """Payment switched on, everything on sale. No webhooks are sent: the landing page has to suffice."""
    with StripeFake() as fake:
        settings.STRIPE_SECRET_KEY, settings.STRIPE_WEBHOOK_SECRET = "sk_test_1", "whsec_test"
        settings.STRIPE_API_BASE = fake.url
        call_command("sync_stripe", stdout=io.StringIO())
        yield fake


@pytest.fixture
def browser(client: Client, user: User) -> Client:
    client.force_login(user)
    return client


def choose(browser: Client, **what: int) -> str:
    """The id of the Checkout session that a button leads to."""
    response = browser.post("/billing/checkout", what)
    assert response.status_code == 302, response.content
    found = re.search(r"cs_\w+", response["Location"])
    assert found
    return found[0]


def land(browser: Client, session: str):
    return browser.get("/billing/checkout/done", {"session_id": session})


def plan(label: str) -> int:
    return Plan.objects.get(label=label).pk


# --- Without Stripe ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("logged_in", [False, True])
def test_without_stripe_the_pages_show_the_plans_and_say_so(client, user, logged_in):
    if logged_in:
        client.force_login(user)
        assert "Payment is switched off" in client.get("/billing").content.decode()
    page = client.get("/pricing").content.decode()
    assert "Payment is switched off on this server" in page
    assert "Premium-5000" in page
    assert 'action="/billing/checkout"' not in page


def test_without_stripe_nothing_can_be_bought(client, user):
    client.force_login(user)
    StripePrice.objects.create(stripe_id="p", lookup_key="k", plan=Plan.objects.get(label="Premium-1000"), amount_cents=1)
    assert client.post("/billing/checkout", {"plan": plan("Premium-1000")}).status_code == 503
    assert client.post("/billing/portal").status_code == 503
    assert client.get("/billing/checkout/done?session_id=cs_x").status_code == 404


def test_pages_need_a_login_and_buttons_a_token(client, user, stripe):
    assert client.get("/billing")["Location"].startswith("/accounts/login/")
    assert client.post("/billing/checkout", {"plan": "1"})["Location"] == "/accounts/login/?next=/pricing"
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(user)
    assert strict.post("/billing/checkout", {"plan": plan("Premium-1000")}).status_code == 403
    assert strict.post("/billing/portal").status_code == 403
    assert strict.get("/billing/checkout").status_code == 405


# --- Buying -----------------------------------------------------------------------------------------------


def test_the_landing_page_fulfils_once(browser, stripe, account):
    first, second = choose(browser, pack=1), choose(browser, pack=1)
    assert first != second
    for session in (first, second):
        stripe.pay(session)
        assert land(browser, session)["Location"] == "/billing"
    assert ledger.get_account(account.user).prepaid_balance == 200
    for session in (first, second, first):
        land(browser, session)
    assert ledger.get_account(account.user).prepaid_balance == 200
    assert LedgerEntry.objects.filter(reference__startswith="stripe:checkout:").count() == 2


def test_what_is_not_paid_yet_grants_nothing(browser, stripe, account):
    session = choose(browser, pack=1)
    land(browser, session)
    stripe.pay(session, later=True)
    land(browser, session)
    assert ledger.get_account(account.user).prepaid_balance == 0
    stripe.resolve_async(session)
    land(browser, session)
    assert ledger.get_account(account.user).prepaid_balance == 100


def test_another_customers_checkout_is_not_found(browser, stripe, account):
    session = choose(browser, pack=1)
    stripe.pay(session)
    stranger = User.objects.create_user("stranger@example.com")
    stripe_customers.get_or_create(ledger.get_account(stranger))
    other = Client()
    other.force_login(stranger)
    assert land(other, session).status_code == 404
    assert land(browser, "cs_unknown").status_code == 404
    assert land(browser, "").status_code == 404
    assert not LedgerEntry.objects.exists()


@pytest.mark.parametrize(
    "query",
    [
        {}, {"session_id": ""}, {"session_id": "cs_"}, {"session_id": "../customers"}, {"session_id": "sub_1"},
        {"session_id": "cs_1/../../customers"}, {"session_id": "cs_1?limit=100"}, {"session_id": "cs_1\n"},
        {"session_id": "cs_" + "x" * 300}, {"session_id": "cs_é"},
    ],
)  # fmt: skip
def test_stripe_is_only_asked_for_checkout_ids(browser, stripe, account, query):
    stripe_customers.get_or_create(account)
    before = len(stripe.requests)
    assert browser.get("/billing/checkout/done", query).status_code == 404
    assert len(stripe.requests) == before


@pytest.mark.parametrize("odd", ["", "cs_1/..", "../v1/customers", "cs 1", "x", "CS_1"])
def test_the_client_asks_for_no_object_without_an_id(stripe, odd):
    before = len(stripe.requests)
    for method in ("get_subscription", "get_invoice", "get_checkout", "get_charge", "get_dispute"):
        with pytest.raises(PaymentObjectUnknown):
            getattr(stripe_client.get_client(), method)(odd)
    assert len(stripe.requests) == before


@pytest.mark.parametrize("what", [{}, {"plan": "1"}, {"plan": "x"}, {"pack": "999"}, {"plan": "9" * 30}])
def test_what_is_not_on_sale_cannot_be_bought(browser, stripe, what):
    assert browser.post("/billing/checkout", what).status_code == 404


def test_a_subscriber_is_not_sold_a_second_subscription(browser, stripe, account):
    session = choose(browser, plan=plan("Premium-1000"))
    stripe.pay(session)
    land(browser, session)
    assert ledger.get_account(account.user).plan.label == "Premium-1000"
    assert browser.post("/billing/checkout", {"plan": plan("Premium-5000")}).status_code == 409
    assert 'Change plan<span class="sr-only"> to Premium-5000' in browser.get("/pricing").content.decode()
    assert "/portal/" in browser.post("/billing/portal")["Location"]


def test_a_trial_is_for_new_customers(browser, stripe, account):
    Plan.objects.update(trial_days=7)
    stripe.pay(choose(browser, plan=plan("Premium-1000")))
    assert stripe.requests[-1].status == 200
    [created] = [one for one in stripe.requests if one.method == "POST" and one.path == "/v1/checkout/sessions"]
    assert created.params["subscription_data"] == {"trial_period_days": "7"}
    now = timezone.now()
    Subscription.objects.create(
        account=account, stripe_id="sub_old", status="canceled", period_start=now, period_end=now, started_at=now
    )
    choose(browser, plan=plan("Premium-1000"))
    created = [one for one in stripe.requests if one.method == "POST" and one.path == "/v1/checkout/sessions"][-1]
    assert "subscription_data" not in created.params


def test_the_billing_page_shows_credits_and_invoices(browser, stripe, account):
    session = choose(browser, plan=plan("Premium-1000"))
    stripe.pay(session)
    land(browser, session)
    spend(ledger.get_account(account.user), api=3, app=2)
    page = browser.get("/billing").content.decode()
    assert "<strong>995</strong> of 1,000" in page
    assert "$19" in page
    assert "Paid" in page
    stripe.fail_next(5, path="/v1/invoices")
    assert "Invoices cannot be loaded" in browser.get("/billing").content.decode()


def test_an_outage_of_stripe_is_explained(browser, stripe):
    for status in (500, 0):
        stripe.fail_next(3, status=status, path="/v1/checkout")
        response = browser.post("/billing/checkout", {"pack": 1})
        assert response.status_code == 502
        assert "payment provider cannot be reached" in response.content.decode()


def test_an_outage_of_stripe_at_landing_is_explained(browser, stripe, account):
    session = choose(browser, pack=1)
    stripe.pay(session)
    stripe.fail_next(3, path="/v1/checkout")
    page = browser.get("/billing/checkout/done", {"session_id": session}, follow=True).content.decode()
    assert "Your payment is being confirmed" in page


def test_lost_answers_create_only_one_customer(browser, stripe, account):
    stripe.fail_next(1, path="/v1/customers", status=0, after=True)
    choose(browser, pack=1)
    made = [one for one in stripe.requests if one.path == "/v1/customers"]
    assert len(made) == 2
    assert {one.idempotency_key for one in made} == {f"customer:{account.user.public_id}"}
    assert {one.version for one in made} == {stripe_client.API_VERSION}


# --- The catalogue ----------------------------------------------------------------------------------------


def test_syncing_twice_changes_nothing(stripe, capsys):
    before = len(stripe.requests)
    call_command("sync_stripe")
    assert capsys.readouterr().out == "nothing to change\n"
    assert {one.method for one in stripe.requests[before:]} == {"GET"}
    assert StripePrice.objects.filter(is_active=True).count() == 6


def test_a_changed_price_is_replaced_and_changed_back(stripe, capsys):
    pack = CreditPack.objects.get(credits=100)
    for cents, credits in ((700, 100), (700, 120), (500, 100), (700, 100)):
        CreditPack.objects.filter(pk=pack.pk).update(price_cents=cents, credits=credits)
        call_command("sync_stripe")
        active = StripePrice.objects.get(pack=pack, is_active=True)
        remote = stripe.object(active.stripe_id)
        assert (remote["unit_amount"], remote["lookup_key"], remote["active"]) == (cents, f"pack_{pack.pk}", True)
        assert active.credits == credits
    prices = StripePrice.objects.filter(pack=pack)
    assert prices.count() == 5
    assert [stripe.object(old.stripe_id)["active"] for old in prices.filter(is_active=False)] == [False] * 4
    assert len(set(prices.values_list("product_id", flat=True))) == 1


def test_a_new_database_finds_what_is_on_sale(stripe, capsys):
    known = set(StripePrice.objects.values_list("stripe_id", flat=True))
    StripePrice.objects.all().delete()
    Plan.objects.filter(label="Premium-1000").update(label="Premium-1k")
    call_command("sync_stripe")
    assert set(StripePrice.objects.values_list("stripe_id", flat=True)) == known
    assert capsys.readouterr().out == "Premium-1k: renamed from Premium-1000\n"


def test_a_pack_is_worth_what_it_was_when_it_was_paid(browser, stripe, account):
    session = choose(browser, pack=1)
    CreditPack.objects.filter(pk=1).update(credits=1)
    call_command("sync_stripe")
    stripe.pay(session)
    land(browser, session)
    assert ledger.get_account(account.user).prepaid_balance == 100


def test_syncing_without_stripe(db):
    with pytest.raises(CommandError, match="switched off"):
        call_command("sync_stripe")


# --- Support ----------------------------------------------------------------------------------------------


@pytest.fixture
def subscribed(browser: Client, stripe: StripeFake, account: Account) -> Account:
    session = choose(browser, plan=plan("Premium-1000"))
    stripe.pay(session)
    land(browser, session)
    return ledger.get_account(account.user)


def test_an_account_is_not_deleted_while_it_pays(browser, stripe, subscribed):
    assert "subscription is still running" in browser.get("/profile/delete").content.decode()
    Subscription.objects.update(cancel_at_period_end=True)
    assert "subscription is still running" not in browser.get("/profile/delete").content.decode()


def test_reconcile_finds_and_fixes_what_lost_webhooks_left(browser, stripe, subscribed, capsys):
    call_command("reconcile", "--stripe")
    stripe.pay(choose(browser, pack=1))
    stripe.advance(stripe.now + 32 * 24 * 3600)
    with pytest.raises(CommandError, match="difference"):
        call_command("reconcile", "--stripe", "--account", subscribed.user.email)
    out = capsys.readouterr().out
    assert "is paid for and not granted" in out
    assert "period_start is" in out
    call_command("reconcile", "--stripe", "--fix")
    call_command("reconcile", "--stripe")
    assert ledger.get_account(subscribed.user).prepaid_balance == 100
    stripe.fail_next(3)
    with pytest.raises(CommandError, match="cannot be reached"):
        call_command("reconcile", "--stripe")


def test_support_sees_stripe_and_replays(stripe, subscribed, admin_client):
    event = StripeEvent.objects.create(
        stripe_id="evt_1", type="customer.subscription.updated", object_id=Subscription.objects.get().stripe_id,
        customer_id=subscribed.stripe_customer.stripe_id, account=subscribed, status="failed",
    )  # fmt: skip
    page = admin_client.get(f"/admin/billing/account/{subscribed.pk}/change/").content.decode()
    for link in (f"customers/{event.customer_id}", f"subscriptions/{event.object_id}", "events/evt_1"):
        assert f"https://dashboard.stripe.com/{link}" in page
    assert 'name="subscriptions-0-status"' not in page, "nothing of Stripe's can be edited"
    found = admin_client.get("/admin/billing/account/", {"q": event.customer_id}).content.decode()
    assert subscribed.user.email in found
    again = {"target": "evt_1", "reason": "Ticket 12", "token": str(uuid.uuid4()), "confirmed": "1"}
    admin_client.post(f"/admin/billing/account/{subscribed.pk}/act/replay-event/", again)
    event.refresh_from_db()
    assert (event.status, event.attempts) == ("processed", 1)


@pytest.mark.parametrize(("reason", "message"), [("Karte abgelehnt.", "Karte abgelehnt."), ("", "The card was declined.")])
def test_a_declined_card_is_a_400(stripe, reason, message):
    with pytest.raises(CardDeclined) as refused, stripe_client._errors():
        raise stripe_sdk.CardError(reason, "card", "card_declined")
    error = get_translation(refused.value)
    assert (error.status, error.code, error.message) == (400, "card_declined", message)
