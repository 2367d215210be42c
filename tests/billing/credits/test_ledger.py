"""Credits: hold, post, void, grant."""

from datetime import timedelta

import pytest
from django.db.models import Sum
from django.utils import timezone

from accounts.models import ApiKey, ApiKeyMonth, User
from billing.credits import ledger
from billing.credits.refusals import KeyLimitReached, MonthlyLimitReached, NotEnoughCredits
from billing.models import Account, Bucket, Hold, LedgerEntry, Plan, UsageWindow

pytestmark = pytest.mark.django_db


@pytest.fixture
def account(user: User) -> Account:
    return ledger.get_account(user)


def hold(account: Account, channel: str = "api") -> Hold:
    return ledger.hold(account, channel=channel, key=None, request_id="test-request")


def prepaid(account: Account) -> int:
    return Account.objects.get(pk=account.pk).prepaid_balance


def window() -> UsageWindow:
    return UsageWindow.objects.get()


def assert_ledger_proves(account: Account) -> None:
    entries = LedgerEntry.objects.filter(account=account)
    sums = entries.filter(bucket=Bucket.PREPAID).aggregate(Sum("available"))
    assert (sums["available__sum"] or 0) == prepaid(account)
    for row in UsageWindow.objects.all():
        included = entries.filter(window=row).aggregate(Sum("available"), Sum("held"))
        assert included["available__sum"] == row.allowance - row.app_used - row.api_used - row.held
        assert included["held__sum"] == row.held


def test_a_new_account_is_on_the_free_plan(account):
    assert (account.plan.label, account.plan.included_credits) == ("Free", 50)


def test_a_posted_hold_is_used_and_a_voided_one_is_not(account):
    ledger.post(hold(account))
    ledger.post(hold(account, "app"))
    ledger.void(hold(account))
    hold(account)
    assert (window().api_used, window().app_used, window().held) == (1, 1, 1)
    assert_ledger_proves(account)


@pytest.mark.parametrize(
    ("first", "second"), [(ledger.post, ledger.void), (ledger.void, ledger.post), (ledger.post, ledger.post)]
)
def test_a_hold_is_settled_once(account, first, second):
    held = hold(account)
    assert first(held)
    before = LedgerEntry.objects.count()
    assert not second(held)
    assert LedgerEntry.objects.count() == before
    assert_ledger_proves(account)


def test_included_credits_go_first_then_prepaid_then_nothing(account):
    ledger.grant_prepaid(account, 2, reference="pack")
    window_before = hold(account).window
    UsageWindow.objects.filter(pk=window_before.pk).update(allowance=2)
    LedgerEntry.objects.filter(kind="renew").update(available=2)
    assert [hold(account).bucket for _ in range(3)] == ["included", "prepaid", "prepaid"]
    with pytest.raises(MonthlyLimitReached) as refusal:
        hold(account)
    assert refusal.value.seconds_left > 0
    assert prepaid(account) == 0
    assert_ledger_proves(account)


def test_a_voided_prepaid_hold_comes_back(account):
    ledger.grant_prepaid(account, 1, reference="pack")
    ledger.change_plan(
        account, Plan.objects.create(label="None", included_credits=0, requests_per_minute=1, concurrent_requests=1)
    )
    held = hold(account)
    assert (held.bucket, prepaid(account)) == ("prepaid", 0)
    ledger.void(held)
    assert prepaid(account) == 1
    assert_ledger_proves(account)


def test_a_grant_happens_once_per_reference(account):
    assert ledger.grant_prepaid(account, 5, reference="same")
    assert not ledger.grant_prepaid(account, 5, reference="same")
    assert prepaid(account) == 5


@pytest.mark.parametrize("credits", [0, -3])
def test_a_grant_is_of_at_least_one_credit(account, credits):
    with pytest.raises(ValueError, match="at least 1"):
        ledger.grant_prepaid(account, credits, reference="none")


def test_a_change_of_plan_changes_this_months_allowance(account):
    ledger.post(hold(account))
    ledger.change_plan(account, Plan.objects.get(label="Premium-1000"))
    assert (window().allowance, window().used) == (1000, 100)
    assert_ledger_proves(account)


def test_the_window_is_the_utc_calendar_month(account):
    held = hold(account)
    assert held.window.start.day == 1
    assert held.window.start <= timezone.now() < held.window.end
    assert held.month == held.window.start.date()


def hold_many(account: Account, count: int, key: ApiKey | None = None) -> list[Hold]:
    until = timezone.now() + timedelta(hours=24)
    return ledger.hold_many(account, [f"batch-{n}" for n in range(count)], channel="api", key=key, until=until)


def test_many_are_held_at_once_included_ones_first_and_each_is_settled_alone(account):
    ledger.grant_prepaid(account, 10, reference="pack")
    held = hold_many(account, 55)
    assert [each.bucket for each in held] == ["included"] * 50 + ["prepaid"] * 5
    assert [each.request_id for each in held][:2] == ["batch-0", "batch-1"]
    assert (window().held, prepaid(account)) == (50, 5)
    assert_ledger_proves(account)
    assert ledger.post(held[0])
    assert ledger.post(held[-1])
    assert all(ledger.void(each) for each in held[1:-1])
    assert (window().held, window().api_used, prepaid(account)) == (0, 1, 9)
    assert_ledger_proves(account)


def test_of_many_all_or_none_are_held(account):
    ledger.grant_prepaid(account, 2, reference="pack")
    with pytest.raises(NotEnoughCredits) as refusal:
        hold_many(account, 53)
    assert (refusal.value.wanted, refusal.value.left) == (5300, 5200)
    assert refusal.value.seconds_left > 0
    assert (Hold.objects.count(), prepaid(account)) == (0, 2)
    assert len(hold_many(account, 52)) == 52


def test_many_need_room_under_the_cap_of_their_key(account):
    key, _ = ApiKey.objects.issue(account.user, name="capped", monthly_credit_cap=3)
    with pytest.raises(KeyLimitReached) as refusal:
        hold_many(account, 4, key)
    assert refusal.value.seconds_left > 0
    held = hold_many(account, 3, key)
    with pytest.raises(KeyLimitReached):
        hold_many(account, 1, key)
    ledger.void(held[0])
    assert len(hold_many(account, 1, key)) == 1


def test_the_holds_of_a_batch_last_as_long_as_it_does(account):
    held = hold_many(account, 2)
    Hold.objects.update(created_at=timezone.now() - timedelta(hours=23))
    assert ledger.void_stale() == 0
    Hold.objects.filter(pk=held[0].pk).update(held_until=timezone.now() - timedelta(seconds=1))
    assert ledger.void_stale() == 1
    assert_ledger_proves(account)


def test_many_voids_are_as_many_single_ones(account, user):
    key = ApiKey.objects.issue(user, name="shop")[0]
    ledger.grant_prepaid(account, 5, reference="gift")
    ledger.post(hold(account))
    UsageWindow.objects.update(allowance=3)
    LedgerEntry.objects.filter(kind="grant", bucket=Bucket.INCLUDED).update(available=3)
    until = timezone.now() + timedelta(hours=1)
    made = ledger.hold_many(account, [f"batch/{n}" for n in range(5)], channel="api", key=key, until=until)
    ledger.post(made[0])
    assert len(ledger.void_many([one.pk for one in made])) == 4, "one was spent already"
    assert ledger.void_many([one.pk for one in made]) == []
    assert (window().held, window().api_used + window().app_used, prepaid(account)) == (0, 2, 5)
    assert (ApiKeyMonth.objects.get().used, ApiKeyMonth.objects.get().held) == (1, 0)
    assert ledger.void(made[1]) is False
    assert LedgerEntry.objects.filter(kind="void").count() == 4


def test_checking_the_credits_beforehand_holds_none(account):
    ledger.check_credits(account, 5000)
    with pytest.raises(NotEnoughCredits) as refusal:
        ledger.check_credits(account, 5100)
    assert (refusal.value.wanted, refusal.value.left) == (5100, 5000)
    assert not Hold.objects.exists()
