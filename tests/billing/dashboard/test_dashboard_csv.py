"""The dashboard's CSV files: the same figures, readable by spreadsheets and harmless in them."""

import csv
import io
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import ApiKey, User
from billing.credits import ledger
from billing.dashboard import csv_export
from billing.models import RequestRecord, UsageWindow
from tests.billing.conftest import spend

pytestmark = pytest.mark.django_db


@pytest.fixture
def browser(client: Client, user: User) -> Client:
    client.force_login(user)
    return client


def read(response) -> list[dict[str, str]]:
    """The rows of a streamed file."""
    assert response.status_code == 200
    assert response.streaming
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    text = response.getvalue().decode()
    assert text.startswith("\ufeff"), "spreadsheets take it for UTF-8 by this mark alone"
    return list(csv.DictReader(io.StringIO(text[1:])))


def test_usage_by_day_channel_and_key(browser, user, account):
    key = ApiKey.objects.issue(user, name='Größe, "L"')[0]
    ledger.grant_prepaid(account, 1, reference="test")
    ledger.post(ledger.hold(account, channel="api", key=key, request_id="x"))
    spend(account, app=2)
    UsageWindow.objects.update(allowance=3)
    ledger.post(ledger.hold(account, channel="api", key=key, request_id="x"))
    response = browser.get("/dashboard/usage.csv")
    assert response.headers["Content-Disposition"].startswith('attachment; filename="usage-')
    today = timezone.now().date().isoformat()
    named = {"day_utc": today, "channel": "api", "key_name": 'Größe, "L"', "key_prefix": key.prefix}
    assert sorted(read(response), key=lambda row: (row["channel"], row["bucket"])) == [
        named | {"bucket": "included", "credits": "1"},
        named | {"bucket": "prepaid", "credits": "1"},
        {"day_utc": today, "channel": "app", "key_name": "", "key_prefix": "", "bucket": "included", "credits": "2"},
    ]


def test_usage_of_a_past_cycle(browser, account):
    start = timezone.now() - timedelta(days=30)
    ledger.renew(account, account.plan, start, timezone.now())
    spend(ledger.get_account(account.user), api=2)
    ledger.renew(account, account.plan, timezone.now(), timezone.now() + timedelta(days=30))
    spend(ledger.get_account(account.user), api=1)
    rows = read(browser.get("/dashboard/usage.csv", {"cycle": int(start.timestamp())}))
    assert sum(int(row["credits"]) for row in rows) == 2


def test_requests_with_the_filters_of_the_page(browser, user, account):
    key = ApiKey.objects.issue(user, name="Shop")[0]
    for number, status in enumerate((200, 400, 200)):
        RequestRecord.objects.create(
            account=account, key=key, channel="api", request_id=f"request-{number}", status=status, duration_ms=7
        )
    rows = read(browser.get("/dashboard/requests.csv"))
    assert [row["request_id"] for row in rows] == ["request-2", "request-1", "request-0"]
    assert rows[0]["key_name"] == "Shop"
    assert rows[0]["duration_ms"] == "7"
    assert rows[0]["time_utc"].endswith("+00:00")
    assert [row["status"] for row in read(browser.get("/dashboard/requests.csv", {"status": "refused"}))] == ["400"]


def test_another_customer_gets_an_empty_file(account):
    RequestRecord.objects.create(account=account, channel="api", request_id="request-1", status=200, duration_ms=7)
    other = User.objects.create_user("other@example.com", "correct horse battery staple")
    browser = Client()
    browser.force_login(other)
    assert read(browser.get("/dashboard/requests.csv")) == []
    assert read(browser.get("/dashboard/usage.csv")) == []


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_no_cell_is_a_formula(name):
    row = "".join(csv_export.lines(["a", "b"], [[name, -5]])).split("\r\n", 1)[1]
    assert next(csv.reader(io.StringIO(row, newline=""))) == [f"'{name}", "-5"]


def test_a_key_named_like_a_formula_is_harmless(browser, user, account):
    key = ApiKey.objects.issue(user, name="=HYPERLINK(1)")[0]
    ledger.post(ledger.hold(account, channel="api", key=key, request_id="x"))
    RequestRecord.objects.create(account=account, key=key, channel="api", request_id="-1-request", status=200, duration_ms=7)
    assert read(browser.get("/dashboard/usage.csv"))[0]["key_name"] == "'=HYPERLINK(1)"
    row = read(browser.get("/dashboard/requests.csv"))[0]
    assert (row["key_name"], row["request_id"]) == ("'=HYPERLINK(1)", "'-1-request")
