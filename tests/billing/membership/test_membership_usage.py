"""`GET /api/membership-usage`."""

from unittest.mock import patch

import pytest
from django.test import Client

from accounts.models import ApiKey, User
from billing.credits import ledger
from billing.models import Account, Plan
from tests.billing.conftest import moment, spend

pytestmark = pytest.mark.django_db
NOW = moment("2026-03-10 12:00")
CYCLE_START, CYCLE_END = moment("2026-02-25 00:00"), moment("2026-03-25 00:00")


def unix(text: str) -> int:
    return int(moment(text).timestamp())


@pytest.fixture(autouse=True)
def _now():
    with patch("django.utils.timezone.now", lambda: NOW):
        yield


def get(key: str | None, **query: str | int):
    return Client(headers={"x-api-key": key} if key else {}).get("/api/membership-usage", query)


def subscribe(account: Account) -> None:
    ledger.renew(account, Plan.objects.get(label="Premium-20000"), CYCLE_START, CYCLE_END)


def test_a_new_account(key):
    response = get(key)
    assert response.status_code == 200
    assert response.json() == {"membership": "Free", "credits": 50, "prepaidCredits": 0, "app_usage": 0, "api_usage": 0}


def test_reading_creates_nothing(account, key):
    get(key, expand="billing_cycle")
    assert not account.windows.exists()


def test_usage_by_channel_and_prepaid_in_neither(account, key):
    ledger.grant_prepaid(account, 7, reference="pack")
    spend(account, api=3, app=2)
    account.windows.update(allowance=5)
    spend(account, api=1)
    body = get(key).json()
    assert (body["app_usage"], body["api_usage"], body["prepaidCredits"]) == (2, 3, 6)


@pytest.mark.parametrize(
    "query", [{"expand": "billing_cycle"}, {"expand": "x, billing_cycle"}, {"includeBillingCycle": "true"}]
)
def test_the_calendar_month_stands_in_until_stripe_has_a_period(account, key, query):
    spend(account, api=2)
    assert get(key, **query).json()["billingCycle"] == {
        "periodStartUnix": unix("2026-03-01 00:00"),
        "periodEndUnix": unix("2026-04-01 00:00") - 1,
        "appUsage": 0,
        "apiUsage": 2,
        "includedCredits": 50,
        "prepaidCredits": 0,
        "usedIncludedCredits": 2,
        "remainingIncludedCredits": 48,
        "stripeBillingSynced": False,
    }


@pytest.mark.parametrize("query", [{}, {"expand": "other"}, {"includeBillingCycle": "0"}])
def test_without_the_flag_the_key_is_absent(key, query):
    assert "billingCycle" not in get(key, **query).json()


def test_stripes_cycle_is_the_current_window(account, key):
    spend(account, api=4)
    subscribe(account)
    spend(account, app=3)
    body = get(key, expand="billing_cycle").json()
    assert (body["membership"], body["credits"]) == ("Premium-20000", 20_000)
    assert (body["app_usage"], body["api_usage"]) == (3, 4), "the calendar month has both"
    cycle = body["billingCycle"]
    assert (cycle["appUsage"], cycle["apiUsage"], cycle["stripeBillingSynced"]) == (3, 0, True)
    assert (cycle["periodStartUnix"], cycle["periodEndUnix"]) == (unix("2026-02-25 00:00"), unix("2026-03-25 00:00") - 1)
    assert cycle["remainingIncludedCredits"] == 19_997


def test_a_window_by_its_start(account, key):
    spend(account, api=4)
    subscribe(account)
    spend(account, app=3)
    body = get(key, periodStartUnix=unix("2026-02-25 00:00"), expand="billing_cycle").json()
    assert (body["app_usage"], body["api_usage"]) == (3, 0)
    old = get(key, periodStartUnix=unix("2026-03-01 00:00"), expand="billing_cycle").json()
    assert (old["app_usage"], old["api_usage"]) == (0, 4)
    assert old["billingCycle"]["apiUsage"] == 4


def test_another_month(account, key):
    spend(account, api=1)
    assert get(key, year=2026, month=3).json()["api_usage"] == 1
    assert get(key, month=2).json()["api_usage"] == 0
    assert get(key, year=2025).json()["api_usage"] == 0
    assert get(key, year=9999, month=12).json()["api_usage"] == 0


def test_the_list_of_windows(account, key):
    assert get(key, listBillingCycles="1").json() == {"billingCycles": []}
    spend(account, api=1)
    subscribe(account)
    spend(account, app=2)
    with_next = ledger.renew(account, account.plan, CYCLE_END, moment("2026-04-25 00:00"))
    assert get(key, listBillingCycles="true").json() == {
        "billingCycles": [
            {
                "periodStartUnix": unix("2026-03-25 00:00"),
                "periodEndUnix": unix("2026-04-25 00:00") - 1,
                "appUsage": 0,
                "apiUsage": 0,
            },
            {
                "periodStartUnix": unix("2026-03-01 00:00"),
                "periodEndUnix": unix("2026-03-25 00:00") - 1,
                "appUsage": 0,
                "apiUsage": 1,
            },
            {
                "periodStartUnix": unix("2026-02-25 00:00"),
                "periodEndUnix": unix("2026-03-01 00:00") - 1,
                "appUsage": 2,
                "apiUsage": 0,
            },
        ]
    }
    assert with_next.used == 0, "the current one is listed without usage"


def test_the_list_ignores_every_other_parameter(key):
    response = get(key, listBillingCycles="1", year="nonsense", periodStartUnix="x")
    assert (response.status_code, response.json()) == (200, {"billingCycles": []})


@pytest.mark.parametrize(
    ("query", "code", "message"),
    [
        ({"month": "13"}, "out_of_range", "'month' must be between 1 and 12, got: 13"),
        ({"month": "0"}, "out_of_range", "'month' must be between 1 and 12, got: 0"),
        ({"year": "0"}, "out_of_range", "'year' must be between 1 and 9999, got: 0"),
        ({"year": "abc"}, "invalid_integer", "'year' must be an integer, got: 'abc'"),
        ({"year": "-1"}, "invalid_integer", "'year' must be an integer, got: '-1'"),
        ({"month": ""}, "invalid_integer", "'month' must be an integer, got: ''"),
        ({"periodStartUnix": "1.5"}, "invalid_integer", "'periodStartUnix' must be an integer, got: '1.5'"),
        (
            {"periodStartUnix": "1740441600", "month": "2"},
            "conflicting_parameters",
            "Cannot use 'periodStartUnix' together with 'year' or 'month'. Choose one or the other.",
        ),
        (
            {"periodStartUnix": "1740441600"},
            "unknown_billing_cycle",
            "No billing cycle starts at 'periodStartUnix' 1740441600. Use 'listBillingCycles=1' to see those there are.",
        ),
    ],
)
def test_a_wrong_parameter(key, query, code, message):
    response = get(key, **query)
    assert response.status_code == 400
    assert response.json() == {"error": message, "code": code, "status": 400}


def test_all_wrong_parameters_at_once(key):
    body = get(key, year="x", month="99").json()
    assert body["code"] == "validation_error"
    assert [detail["field"] for detail in body["details"]] == ["year", "month"]


def test_only_the_callers_own_figures(account, key, django_user_model):
    other = django_user_model.objects.create_user("other@example.com")
    other.verify_email()
    other_key = ApiKey.objects.issue(other, name="x")[1].text
    subscribe(account)
    spend(account, api=3)
    assert get(other_key, listBillingCycles="1").json() == {"billingCycles": []}
    assert get(other_key, periodStartUnix=unix("2026-02-25 00:00")).status_code == 400


@pytest.mark.parametrize("credential", [None, "nonsense"])
def test_without_a_key(db, credential):
    response = get(credential)
    assert (response.status_code, response.json()["error"]) == (401, "invalid api key")
    assert response.headers["WWW-Authenticate"]


def test_an_unverified_owner(key):
    User.objects.update(email_verified_at=None)
    assert get(key).status_code == 403


def test_only_get(key):
    response = Client(headers={"x-api-key": key}).post("/api/membership-usage")
    assert (response.status_code, response.json()["code"]) == (405, "method_not_allowed")


def test_its_queries_do_not_grow(account, key, django_assert_max_num_queries):
    subscribe(account)
    spend(account, api=5)
    with django_assert_max_num_queries(4):
        get(key, expand="billing_cycle")
