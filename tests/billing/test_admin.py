"""Support answers "where did my credits go?" from the account's page, and moves credits only with a reason."""

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.test import Client

from accounts.models import ApiKey, User
from billing import ledger
from billing.models import LedgerEntry
from tests.billing.conftest import spend

pytestmark = pytest.mark.django_db


def staff(*permissions: str) -> Client:
    """A logged-in member of staff with these permissions of billing."""
    member = User.objects.create_user("support@example.com", "correct horse", is_staff=True)
    member.verify_email()
    member.user_permissions.set(Permission.objects.filter(content_type__app_label="billing", codename__in=permissions))
    client = Client()
    client.force_login(member)
    return client


@pytest.fixture
def support() -> Client:
    return staff("view_account", "change_account", "view_ledgerentry", "view_hold", "view_plan")


@pytest.fixture
def reader() -> Client:
    return staff("view_account", "view_ledgerentry")


def page(account) -> str:
    return f"/admin/billing/account/{account.pk}/change/"


def test_the_page_shows_balances_windows_and_ledger(support, account, user):
    key, _ = ApiKey.objects.issue(user, name="shop")
    ledger.grant_prepaid(account, 9, reference="pack", note="Pack of nine")
    held = ledger.hold(account, channel="api", key=key, request_id="request-4711")
    ledger.post(held)
    html = support.get(page(account)).content.decode()
    for fact in ("customer@example.com", user.public_id, "Pack of nine", "request-4711", key.prefix, "calendar month"):
        assert fact in html


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ({}, {"request-one", "request-two"}),
        ({"channel": "app"}, {"request-two"}),
        ({"request_id": "request-one"}, {"request-one"}),
        ({"day": "2001-01-01"}, set()),
        ({"key": "nonsense"}, {"request-one", "request-two"}),
    ],
)
def test_the_ledger_is_filtered(support, account, query, shown):
    for channel, request_id in (("api", "request-one"), ("app", "request-two")):
        ledger.hold(account, channel=channel, key=None, request_id=request_id)
    rows = support.get(page(account), query).context["ledger_rows"]
    assert {row.hold.request_id for row in rows if row.hold} == shown


def test_accounts_are_found_by_address_key_and_request(support, account, user):
    key, _ = ApiKey.objects.issue(user, name="shop")
    ledger.hold(account, channel="api", key=key, request_id="request-4711")
    for term in ("customer@", user.public_id, key.prefix, "request-4711"):
        assert support.get("/admin/billing/account/", {"q": term}).context["cl"].result_count == 1
    assert support.get("/admin/billing/account/", {"q": "nobody"}).context["cl"].result_count == 0


def test_credits_are_given_with_a_reason(support, account):
    url = f"/admin/billing/account/{account.pk}/adjust/"
    assert support.get(url).status_code == 200
    assert support.post(url, {"credits": "25", "reason": "Outage on Monday"}).status_code == 302
    account.refresh_from_db()
    assert account.prepaid_balance == 25
    assert LedgerEntry.objects.get(kind="adjust").note == "Outage on Monday (support@example.com)"
    assert "Outage on Monday" in LogEntry.objects.get().change_message


@pytest.mark.parametrize(
    "form",
    [{"credits": "25", "reason": ""}, {"credits": "25", "reason": "  "}, {"credits": "0", "reason": "x"}, {"reason": "x"}],
)
def test_nothing_moves_without_reason_or_amount(support, account, form):
    assert support.post(f"/admin/billing/account/{account.pk}/adjust/", form).status_code == 200
    assert not LedgerEntry.objects.filter(kind="adjust").exists()


def test_no_more_is_taken_than_there_is(support, account):
    ledger.grant_prepaid(account, 3, reference="pack")
    url = f"/admin/billing/account/{account.pk}/adjust/"
    response = support.post(url, {"credits": "-4", "reason": "Mistake"})
    assert "fewer prepaid credits" in response.content.decode()
    assert support.post(url, {"credits": "-3", "reason": "Mistake"}).status_code == 302
    account.refresh_from_db()
    assert account.prepaid_balance == 0


def test_a_reader_cannot_move_credits(reader, account):
    assert reader.get(page(account)).status_code == 200
    response = reader.post(f"/admin/billing/account/{account.pk}/adjust/", {"credits": "5", "reason": "x"})
    assert response.status_code == 403
    assert not LedgerEntry.objects.filter(kind="adjust").exists()


@pytest.mark.parametrize("method", ["change", "delete", "add"])
def test_ledger_rows_cannot_be_changed_by_anyone(account, method):
    spend(account, api=1)
    root = User.objects.create_superuser("root@example.com", "correct horse")
    client = Client()
    client.force_login(root)
    entry = LedgerEntry.objects.latest("id")
    path = "/admin/billing/ledgerentry/add/" if method == "add" else f"/admin/billing/ledgerentry/{entry.pk}/{method}/"
    assert client.post(path, {"available": "999", "post": "yes"}).status_code == 403
    assert LedgerEntry.objects.get(pk=entry.pk).available == entry.available


def test_nobody_else_gets_in(account, user):
    client = Client()
    assert client.get(page(account)).status_code == 302
    client.force_login(user)
    assert client.get(page(account)).status_code == 302
