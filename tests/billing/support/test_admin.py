"""The admin's lists: only plans and packs can be changed there, and only by superusers."""

import pytest

from accounts.models import ApiKey, User
from billing.credits import ledger
from billing.models import LedgerEntry, Plan
from tests.billing.conftest import spend
from tests.billing.support.staff import browser_of, make_staff

pytestmark = pytest.mark.django_db

LISTS = [
    "account", "requestrecord", "ledgerentry", "hold", "stripeevent", "stripeprice", "subscription", "packpurchase", "plan",
    "creditpack",
]  # fmt: skip


@pytest.mark.parametrize("group", ["Support", "Readers"])
@pytest.mark.parametrize("listed", LISTS)
def test_staff_see_every_list(account, group, listed):
    key, _ = ApiKey.objects.issue(account.user, name="shop")
    ledger.post(ledger.hold(account, channel="api", key=key, request_id="request-4711"))
    assert browser_of(make_staff(group)).get(f"/admin/billing/{listed}/").status_code == 200


@pytest.mark.parametrize("method", ["change", "delete", "add"])
def test_ledger_rows_cannot_be_changed_by_anyone(account, method):
    spend(account, api=1)
    root = User.objects.create_superuser("root@example.com", "correct horse")
    client = browser_of(root)
    entry = LedgerEntry.objects.latest("id")
    path = "/admin/billing/ledgerentry/add/" if method == "add" else f"/admin/billing/ledgerentry/{entry.pk}/{method}/"
    assert client.post(path, {"available": "999", "post": "yes"}).status_code == 403
    assert LedgerEntry.objects.get(pk=entry.pk).available == entry.available


@pytest.mark.parametrize("group", ["Support", "Readers"])
def test_plans_are_left_to_superusers(group):
    free = Plan.objects.get(label="Free")
    unused = Plan.objects.create(label="Unused", included_credits=1, requests_per_minute=1, concurrent_requests=1)
    member, root = browser_of(make_staff(group)), browser_of(User.objects.create_superuser("root@example.com", "x"))
    form = {
        "label": "Free", "included_credits": 9_999, "price_cents": 0, "requests_per_minute": 20, "concurrent_requests": 2,
        "position": 0, "trial_days": 0, "trial_credits": 0, "free_previews": 50,
    }  # fmt: skip
    assert member.post(f"/admin/billing/plan/{free.pk}/change/", form).status_code == 403
    assert member.post("/admin/billing/plan/add/", form).status_code == 403
    assert member.post(f"/admin/billing/plan/{unused.pk}/delete/", {"post": "yes"}).status_code == 403
    free.refresh_from_db()
    assert free.included_credits == 50
    assert root.post(f"/admin/billing/plan/{free.pk}/change/", form).status_code == 302
    free.refresh_from_db()
    assert free.included_credits == 9_999
    assert root.post(f"/admin/billing/plan/{unused.pk}/delete/", {"post": "yes"}).status_code == 302
    assert root.post(f"/admin/billing/plan/{free.pk}/delete/", {"post": "yes"}).status_code == 403
