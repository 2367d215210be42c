"""Prices that are fractions of a credit: what is held, spent and freed, and where a fraction shows."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.db import IntegrityError, transaction
from django.test import Client
from django.utils import timezone

from accounts.caller import Caller, Channel
from accounts.models import ApiKey, ApiKeyMonth, User
from billing.credits import admission, after_post, ledger, prices
from billing.credits.idempotency import Retry
from billing.credits.reconciliation import reconcile
from billing.credits.refusals import KeyLimitReached, MonthlyLimitReached, NotEnoughCredits
from billing.dashboard import usage_report
from billing.membership.balance import CreditsLeft, get_credits
from billing.models import Account, DailyUsage, Hold, LedgerEntry, MonthlyUsage, Plan, Price, UsageWindow
from lib.web.errors import get_translation

pytestmark = pytest.mark.django_db


@pytest.fixture
def few(account: Account) -> Account:
    """Two included credits and a prepaid one; three free previews."""
    Plan.objects.filter(label=ledger.FREE_PLAN).update(included_credits=2, free_previews=3)
    ledger.grant_prepaid(account, 1, reference="pack")
    return reread(account)


def reread(account: Account) -> Account:
    return ledger.get_account(User.objects.get(pk=account.user_id))


def hold(account: Account, price: int, *, channel: str = "api", key: ApiKey | None = None) -> Hold:
    return ledger.hold(account, channel=channel, key=key, request_id="test-request", price=price)


def customer(account: Account, *, key: ApiKey | None = None, channel: Channel = "api") -> admission.Customer:
    account = reread(account)
    caller = Caller(user=account.user, key=key, channel=channel, address="127.0.0.1")
    return admission.Customer(caller, account, admission.account_policy(account))


def preview(account: Account, retry: Retry | None = None, **by: Any) -> int:
    with admission.charged(customer(account, **by), "test-request", retry, operation=prices.PREVIEW) as cost:
        return cost


def test_of_any_number_of_previews_four_times_as_many_are_paid_as_there_are_credits(few):
    held = [hold(few, 25) for _ in range(12)]
    with pytest.raises(MonthlyLimitReached):
        hold(few, 25)
    assert [one.bucket for one in held] == ["included"] * 8 + ["prepaid"] * 4
    assert all(ledger.post(one) for one in held)
    window = UsageWindow.objects.get()
    assert (window.used_by_api, window.on_hold, window.left, reread(few).prepaid) == (200, 0, 0, 0)
    assert reconcile(few) == []


def test_a_price_that_no_bucket_can_pay_alone_comes_from_both(few):
    for _ in range(3):
        ledger.post(hold(few, 63))
    ledger.post(hold(few, 25))
    # Left: 0.11 included, 0.75 prepaid.
    assert get_credits(reread(few)) == CreditsLeft(included=11, prepaid=75, free_previews=3)
    both = hold(few, 80)
    assert (both.bucket, both.price, both.topped_up, both.from_included, both.from_prepaid) == ("included", 80, 69, 11, 69)
    rows = [(row.bucket, row.of_available, row.of_held) for row in LedgerEntry.objects.filter(hold=both).order_by("id")]
    assert rows == [("included", -11, 11), ("prepaid", -69, 69)]
    assert reconcile(few) == []
    assert ledger.void(both)
    assert get_credits(reread(few)).total == 86
    again = hold(few, 86)
    assert ledger.post(again)
    assert (UsageWindow.objects.get().used, reread(few).prepaid) == (200, 0)
    assert reconcile(few) == []


def test_included_credits_pay_alone_where_they_suffice_and_prepaid_ones_where_only_they_do(few):
    hold(few, 150)
    # 0.5 of the included credits and 1 prepaid one are left.
    assert [(one.bucket, one.topped_up) for one in (hold(few, 100), hold(few, 50))] == [("prepaid", 0), ("included", 0)]


def test_a_batch_takes_the_rest_of_both_buckets_for_its_last_image(few):
    held = ledger.hold_many(few, ["a", "b", "c", "d"], channel="app", key=None, until=timezone.now(), price=75)
    assert [(one.bucket, one.topped_up) for one in held] == [
        ("included", 0), ("included", 0), ("prepaid", 0), ("included", 25),
    ]  # fmt: skip
    with pytest.raises(NotEnoughCredits) as refusal:
        ledger.hold_many(few, ["e"], channel="app", key=None, until=timezone.now(), price=1)
    assert (refusal.value.wanted, refusal.value.left) == (1, 0)
    assert ledger.void_many([one.pk for one in held]) == sorted(held, key=lambda one: one.pk)
    assert get_credits(reread(few)).total == 300
    assert reconcile(few) == []


def test_a_refusal_names_fractions(few):
    with pytest.raises(NotEnoughCredits) as refusal:
        ledger.hold_many(few, ["a"] * 13, channel="app", key=None, until=timezone.now(), price=25)
    assert get_translation(refusal.value).message.startswith("This batch needs 3.25 credits, and 3 are left.")


def test_the_cap_of_a_key_counts_prices(few):
    key = ApiKey.objects.issue(few.user, name="capped", monthly_credit_cap=1)[0]
    for _ in range(3):
        ledger.post(hold(few, 25, key=key))
    hold(few, 20, key=key)
    with pytest.raises(KeyLimitReached):
        hold(few, 6, key=key)
    ledger.post(hold(few, 5, key=key))
    row = ApiKeyMonth.objects.get()
    assert (row.spent, row.on_hold) == (80, 20)
    assert reconcile(few) == []


def test_free_previews_are_taken_first_and_only_by_the_api(few):
    key = ApiKey.objects.issue(few.user, name="shop")[0]
    assert preview(few, channel="app") == 25
    assert [preview(few, key=key) for _ in range(4)] == [0, 0, 0, 25]
    assert get_credits(reread(few)) == CreditsLeft(included=150, prepaid=100, free_previews=0)
    assert MonthlyUsage.objects.get().free_previews == 3
    assert reconcile(few) == []


def test_a_preview_that_fails_stays_free(few):
    with pytest.raises(ZeroDivisionError), admission.charged(customer(few), "failed", operation=prices.PREVIEW) as cost:
        assert cost == 0
        assert get_credits(reread(few)).free_previews == 2
        1 / 0  # noqa: B018 - raises
    assert get_credits(reread(few)).free_previews == 3
    assert reconcile(few) == []


def test_the_sweep_returns_a_free_preview(few):
    held = ledger.hold(few, channel="api", key=None, request_id="killed", may_be_free=True)
    Hold.objects.update(created_at=timezone.now() - timedelta(hours=1))
    assert ledger.void_stale() == 1
    assert get_credits(reread(few)).free_previews == 3
    assert not ledger.post(held)
    assert ledger.hold_again(held).is_free


def test_a_retry_of_a_free_preview_takes_no_second_one(few):
    retry = Retry("key", "fingerprint")
    assert [preview(few, retry), preview(few, retry)] == [0, 0]
    assert get_credits(reread(few)).free_previews == 2


def test_the_factor_of_a_model_changes_what_is_held(few):
    Price.objects.create(kind=Price.Kind.MODEL, name="large", hundredths=150)
    with admission.charged(customer(few), "test-request", model="large@1234") as cost:
        assert cost == 150
    assert get_credits(reread(few)).included == 50


def test_a_price_of_nothing_needs_no_credits(account):
    Plan.objects.filter(label=ledger.FREE_PLAN).update(included_credits=0)
    assert ledger.post(hold(reread(account), 0))
    assert reconcile(account) == []


def test_a_process_of_the_release_before_cannot_settle_what_it_would_count_wrongly(few):
    """Its statement, and its counting of one credit, for each hold that is not of one."""
    holds = [hold(few, 25), ledger.hold(few, channel="api", key=None, request_id="free", may_be_free=True), hold(few, 100)]
    refused = []
    for one in holds:
        try:
            with transaction.atomic():
                Hold.objects.filter(pk=one.pk, state="held").update(state="voided", settled_at=timezone.now())
        except IntegrityError:
            refused.append(one)
    assert refused == holds[:2]


def test_a_fraction_shows_where_there_is_one(few, user, monkeypatch):
    for price in (100, 25):
        ledger.post(hold(few, price, channel="app"))
    month = MonthlyUsage.objects.get()
    keys = after_post.month_keys(user.public_id, month) | after_post.window_keys(user.public_id, UsageWindow.objects.get())
    assert sorted(keys.values()) == [0, 0, 1.25, 1.25]
    client = Client()
    client.force_login(user)
    assert json.loads(client.get("/billing/balance").content) == {"included": 0.75, "prepaid": 1, "left": 1.75}
    key = ApiKey.objects.issue(user, name="test")[1].text
    usage = Client(headers={"x-api-key": key}).get("/api/membership-usage?expand=billing_cycle").json()
    assert (usage["app_usage"], usage["api_usage"], usage["prepaidCredits"]) == (1.25, 0, 1)
    assert usage["billingCycle"]["remainingIncludedCredits"] == 0.75
    page = client.get("/dashboard").content.decode()
    assert "0.75" in page
    assert "1.25" in page
    lines = client.get("/dashboard/usage.csv").getvalue().decode().splitlines()
    assert lines[1].endswith(",app,,,included,1.25")


def test_the_mail_about_few_credits_counts_fractions(few):
    for _ in range(6):
        ledger.post(hold(few, 25))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("django.db.transaction.on_commit", lambda act, robust=False: act())
        ledger.post(hold(few, 10))
    [sent] = mail.outbox
    assert "you have used 1.6 of the 2 credits" in sent.body


def test_a_finished_day_is_stored_with_its_fractions(few):
    start = timezone.now() - timedelta(days=3)
    window = ledger.renew(few, few.plan, start, start + timedelta(days=30))
    few = reread(few)
    for _ in range(3):
        ledger.post(hold(few, 63))
    ledger.post(hold(few, 100))
    ledger.post(hold(few, 11))
    Hold.objects.update(created_at=timezone.now() - timedelta(days=2))
    for _ in range(2):
        cycle = usage_report.get_cycle(usage_report.list_cycles(few), None)
        report = usage_report.get_report(cycle)
        assert (report.included, report.prepaid, report.total) == (200, 100, 300)
    assert sorted((row.bucket, row.spent) for row in DailyUsage.objects.filter(window=window)) == [
        ("included", 200), ("prepaid", 100),
    ]  # fmt: skip
    with pytest.raises(IntegrityError), transaction.atomic():
        # What the release before stores counts every hold as one credit, and has no such column.
        DailyUsage.objects.bulk_create(
            [DailyUsage(window=window, day=start.date(), channel="api", credits=5, credits_part=None)]
        )
