"""The account page shows everything on one screen, with few queries."""

from datetime import UTC, datetime, timedelta

import pytest
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.utils import timezone

from accounts.models import ApiKey
from billing.credits import ledger
from billing.models import (
    CreditPack,
    Hold,
    MonthlyUsage,
    PackPurchase,
    Plan,
    StripeCustomer,
    StripeEvent,
    StripePrice,
    Subscription,
)
from config.log_in_providers import log_in_providers
from tests.billing.conftest import spend
from tests.billing.support.staff import act_url, browser_of, make_staff, page, record

pytestmark = pytest.mark.django_db

MAX_QUERIES = 12


def buy_everything(account) -> None:
    """A customer of Stripe with a subscription, a pack and events."""
    StripeCustomer.objects.create(account=account, stripe_id="cus_1")
    plan, pack = Plan.objects.get(label="Premium-1000"), CreditPack.objects.all()[0]
    paid = StripePrice.objects.create(stripe_id="price_1", lookup_key="a", plan=plan, amount_cents=1900)
    packed = StripePrice.objects.create(stripe_id="price_2", lookup_key="b", pack=pack, amount_cents=500)
    start = datetime(2026, 2, 1, tzinfo=UTC)
    for number in range(3):
        Subscription.objects.create(
            account=account, stripe_id=f"sub_{number}", status="active", price=paid, period_start=start,
            period_end=start + timedelta(days=30), started_at=start,
        )  # fmt: skip
        PackPurchase.objects.create(
            account=account, price=packed, checkout_id=f"cs_{number}", payment_intent_id=f"pi_{number}",
            charge_id=f"ch_{number}", credits=100, amount_cents=500, revoked=60, taken_back=40,
        )  # fmt: skip
        StripeEvent.objects.create(
            account=account, stripe_id=f"evt_{number}", type="invoice.paid", object_id=f"in_{number}", status="flagged",
            error="look at this",
        )  # fmt: skip


def test_it_shows_everything(support, account, user):
    key, _ = ApiKey.objects.issue(user, name="shop", monthly_credit_cap=77)
    buy_everything(account)
    Authenticator.objects.create(user=user, type=Authenticator.Type.TOTP, data={})
    ledger.post(ledger.hold(account, channel="api", key=key, request_id="request-4711"))
    record(account, "request-4711", key=key, duration_ms=1234)
    record(account, "request-4712", code="image_too_large")
    ledger.grant_prepaid(account, 9, reference="pack", note="Pack of nine")
    response = support.get(page(account))
    html = response.content.decode()
    facts = (
        user.email, user.public_id, "English", key.prefix, "shop", "77", "calendar month", "1,234 ms", "image_too_large",
        "Pack of nine", "cus_1", "sub_0", "Premium-1000", "$19", "pi_0", "40 of 60; 20 were spent before", "evt_2", "in_2",
        "look at this", "usage of the calendar month",
    )  # fmt: skip
    for fact in facts:
        assert fact in html, fact
    assert response.context["window_left"] == 4900
    assert response.context["account"].has_mfa
    assert [found.used_this_month for found in response.context["keys"]] == [100]


def test_it_says_what_the_owner_logs_in_with(support, account, user, settings):
    settings.SOCIALACCOUNT_PROVIDERS = log_in_providers(
        google=("id", "secret"), github=("", ""), openid=("", ""), server_url="", name="", verified_domains=[]
    )
    for provider in ("google", "github"):
        SocialAccount.objects.create(user=user, provider=provider, uid="1")
    assert support.get(page(account)).context["log_ins"] == ["password", "Google"]
    user.set_unusable_password()
    user.save()
    SocialAccount.objects.filter(provider="google").delete()
    assert "nothing: the password must be reset" in support.get(page(account)).content.decode()


def test_it_takes_few_queries_however_much_there_is(support, account, user, django_assert_max_num_queries):
    buy_everything(account)
    for number in range(5):
        key, _ = ApiKey.objects.issue(user, name=f"key {number}")
        ledger.post(ledger.hold(account, channel="api", key=key, request_id=f"request-{number}"))
        record(account, f"request-{number}", key=key)
        LogEntry.objects.log_actions(user.pk, [user], 2, "Something. Reason: x", single_object=True)
    MonthlyUsage.objects.create(account=account, month=datetime(2020, 1, 1, tzinfo=UTC).date())
    with django_assert_max_num_queries(MAX_QUERIES):
        assert support.get(page(account)).status_code == 200
    with django_assert_max_num_queries(MAX_QUERIES):
        assert support.get(page(account), {"request_id": "request-1", "key": key.lookup}).status_code == 200


@pytest.mark.parametrize(
    ("query", "moved", "asked"),
    [
        ({}, {"request-one", "request-two"}, {"request-one", "request-two"}),
        ({"channel": "app"}, {"request-two"}, {"request-two"}),
        ({"request_id": "request-one"}, {"request-one"}, {"request-one"}),
        ({"day": "2001-01-01"}, set(), set()),
        ({"day": "not a day"}, {"request-one", "request-two"}, {"request-one", "request-two"}),
        ({"key": "nonsense"}, {"request-one", "request-two"}, {"request-one", "request-two"}),
        ({"held": "on"}, {"request-two"}, {"request-one", "request-two"}),
        ({"failed": "on"}, {"request-one", "request-two"}, {"request-two"}),
    ],
)
def test_ledger_and_requests_are_filtered(support, account, query, moved, asked):
    ledger.post(ledger.hold(account, channel="api", key=None, request_id="request-one"))
    ledger.hold(account, channel="app", key=None, request_id="request-two")
    record(account, "request-one")
    record(account, "request-two", code="busy", channel="app")
    context = support.get(page(account), query).context
    assert {row.hold.request_id for row in context["ledger_rows"] if row.hold} == moved
    assert {row.request_id for row in context["requests"]} == asked


def test_a_key_filters_both(support, account, user):
    key, _ = ApiKey.objects.issue(user, name="shop")
    for used, name in ((key, "request-one"), (None, "request-two")):
        ledger.post(ledger.hold(account, channel="api", key=used, request_id=name))
        record(account, name, key=used)
    context = support.get(page(account), {"key": key.lookup}).context
    assert {row.hold.request_id for row in context["ledger_rows"]} == {"request-one"}
    assert [row.request_id for row in context["requests"]] == ["request-one"]


def test_lists_are_bounded(support, account):
    for number in range(60):
        record(account, f"request-{number}")
    rows = list(support.get(page(account)).context["requests"])
    assert (len(rows), rows[0].request_id) == (50, "request-59")


def test_the_page_of_a_month_without_requests_makes_no_window(support, account):
    html = support.get(page(account)).content.decode()
    assert "nothing used yet" in html
    assert not account.windows.exists()


def test_voiding_an_old_hold_is_offered(support, reader, account):
    held = ledger.hold(account, channel="api", key=None, request_id="request-lost")
    link = f"{act_url(account, 'void-hold')}?target={held.pk}"
    assert link not in support.get(page(account)).content.decode()
    Hold.objects.filter(pk=held.pk).update(created_at=timezone.now() - timedelta(minutes=16))
    assert link in support.get(page(account)).content.decode()
    assert link not in reader.get(page(account)).content.decode()


def test_no_secret_is_shown(support, account, user, key):
    html = support.get(page(account)).content.decode()
    for secret in (key, key.split("_")[2], ApiKey.objects.get().digest, user.password):
        assert secret not in html


def test_readers_see_it_and_get_no_button(reader, account):
    ApiKey.objects.issue(account.user, name="shop")
    spend(account, api=1)
    response = reader.get(page(account))
    assert response.status_code == 200
    assert "/act/" not in response.content.decode()


def test_nothing_can_be_posted_to_it_and_unknown_accounts_are_not_found(support, account):
    assert support.post(page(account), {"prepaid_balance": "9"}).status_code == 405
    for unknown in ("999999", "x", "9" * 30):
        assert support.get(f"/admin/billing/account/{unknown}/change/").status_code == 404


def test_a_user_who_never_called_has_a_page_as_well(support, django_user_model):
    fresh = django_user_model.objects.create_user("fresh@example.com")
    response = support.get(f"/admin/billing/account/of/{fresh.public_id}/", follow=True)
    assert response.redirect_chain[-1][0] == page(ledger.get_account(fresh))
    assert "fresh@example.com" in response.content.decode()
    assert support.get("/admin/billing/account/of/u_unknown/").status_code == 404


def test_no_one_else_gets_in(account, user):
    client = Client()
    assert client.get(page(account)).status_code == 302
    client.force_login(user)
    assert client.get(page(account)).status_code == 302
    stranger = browser_of(django_staff_without_rights())
    assert stranger.get(page(account)).status_code == 403


def django_staff_without_rights():
    member = make_staff("Readers", "nothing@example.com")
    member.groups.clear()
    return member
