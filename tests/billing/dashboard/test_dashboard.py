"""`/dashboard`: its figures add up to the window's, cost the same queries for any amount, and are the customer's own."""

import re
from datetime import UTC, date, timedelta

import pytest
from django.db import DatabaseError
from django.test import Client
from django.utils import timezone

from accounts.models import ApiKey, User
from billing.credits import ledger
from billing.dashboard import chart, daily_usage, outcomes, usage_report
from billing.dashboard.request_list import PAGE_SIZE
from billing.models import Account, Bucket, CountedDays, DailyUsage, Hold, Plan, RequestRecord, UsageWindow
from tests.billing.conftest import current_window, spend
from website import error_guide

pytestmark = pytest.mark.django_db


@pytest.fixture
def browser(client: Client, user: User) -> Client:
    """The customer's browser."""
    client.force_login(user)
    return client


@pytest.fixture
def cycle(account: Account) -> UsageWindow:
    """A billing cycle of a hundred credits that began ten days ago."""
    Plan.objects.filter(label="Free").update(included_credits=100)
    account.refresh_from_db()
    start = timezone.now() - timedelta(days=10)
    return ledger.renew(account, account.plan, start, start + timedelta(days=30))


def back(days: int) -> date:
    return (timezone.now() - timedelta(days=days)).astimezone(UTC).date()


def spend_on(account: Account, days: int, **counts: int) -> None:
    """Spend now, as if that many days ago."""
    known = set(Hold.objects.values_list("pk", flat=True))
    spend(account, **counts)
    Hold.objects.exclude(pk__in=known).update(created_at=timezone.now() - timedelta(days=days))


def report_of(account: Account) -> usage_report.Report:
    account = ledger.get_account(account.user)
    return usage_report.get_report(usage_report.list_cycles(account)[0])


def record(account: Account | None, number: int = 1, **fields) -> RequestRecord:
    defaults = {"channel": "api", "request_id": f"request-{number}", "status": 200, "credits": 1, "duration_ms": 120}
    return RequestRecord.objects.create(account=account, **defaults | fields)


def shown(response) -> list[str]:
    """The request ids of the page, in order."""
    return re.findall(r'<code class="id" dir="ltr">(.*?)</code>', response.content.decode())


def test_only_signed_in_customers_have_one():
    for path in ("/dashboard", "/dashboard/usage.csv", "/dashboard/requests.csv"):
        response = Client().get(path)
        assert response.status_code == 302
        assert "login" in response.headers["Location"]


def test_it_only_reads(browser):
    assert browser.post("/dashboard").status_code == 405


def test_logging_in_redirects_to_it(settings):
    assert settings.LOGIN_REDIRECT_URL == "dashboard"


def test_a_new_customer_is_led_to_the_first_image(browser):
    page = browser.get("/dashboard").content.decode()
    assert "Nothing used yet in this cycle" in page
    assert 'href="/profile/keys"' in page
    assert "Quick start" in page
    assert '<svg class="bars"' not in page


def test_the_days_add_up_to_the_window(account, cycle):
    spend_on(account, 5, api=3, app=1)
    spend_on(account, 2, api=2)
    spend(account, app=4)
    for _ in range(2):  # counted live, then from the stored days
        report, window = report_of(account), current_window(account)
        assert (report.api, report.app) == (window.used_by_api, window.used_by_app) == (500, 500)
        days = {day.day: (day.figures["api"], day.figures["app"]) for day in chart.draw_credits(report).used}
        assert days == {back(5): (300, 100), back(2): (200, 0), back(0): (0, 400)}
    assert report.remaining == 9000


def test_days_that_are_over_are_counted_once(account, cycle, django_assert_num_queries):
    spend_on(account, 5, api=3)
    report_of(account)
    assert list(DailyUsage.objects.values_list("day", "channel", "bucket", "credits")) == [(back(5), "api", "included", 3)]
    assert CountedDays.objects.get().until == back(4)
    # What is stored is not counted again, whatever the holds say.
    Hold.objects.update(state=Hold.State.VOIDED)
    assert report_of(account).api == 300


def test_today_is_always_counted_again(account, cycle):
    spend(account, api=1)
    report_of(account)
    spend(account, api=1)
    assert report_of(account).api == 200
    assert not DailyUsage.objects.exists()


def test_a_day_with_an_open_hold_is_not_closed(account, cycle):
    spend_on(account, 5, api=1)
    spend_on(account, 3, api=1)
    late = ledger.hold(account, channel="api", key=None, request_id="late")
    Hold.objects.filter(pk=late.pk).update(created_at=timezone.now() - timedelta(days=4))
    assert report_of(account).api == 200
    assert CountedDays.objects.get().until == back(4)
    ledger.post(late)
    assert report_of(account).api == 300
    assert report_of(account).api == current_window(account).used_by_api


def test_yesterday_stays_open_until_its_last_hold_would_be_stale(account, cycle, monkeypatch):
    midnight = timezone.now().astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    spend(account, api=1)
    Hold.objects.update(created_at=midnight - timedelta(seconds=1))
    monkeypatch.setattr("billing.dashboard.daily_usage.timezone.now", lambda: midnight + timedelta(minutes=10))
    assert sum(one.amount for one in daily_usage.read(current_window(account))) == 100
    assert not DailyUsage.objects.exists()
    monkeypatch.setattr("billing.dashboard.daily_usage.timezone.now", lambda: midnight + timedelta(minutes=16))
    daily_usage.read(current_window(account))
    assert DailyUsage.objects.get().credits == 1


def test_two_concurrent_readers_store_a_day_once(account, cycle):
    spend_on(account, 5, api=3)
    first, second = UsageWindow.objects.select_related("counted").get(), UsageWindow.objects.select_related("counted").get()
    assert [sum(one.amount for one in daily_usage.read(window)) for window in (first, second)] == [300, 300]
    assert DailyUsage.objects.get().credits == 3
    spend_on(account, 2, api=1)
    first, second = UsageWindow.objects.select_related("counted").get(), UsageWindow.objects.select_related("counted").get()
    assert [sum(one.amount for one in daily_usage.read(window)) for window in (first, second)] == [400, 400]
    assert DailyUsage.objects.count() == 2


def test_the_page_is_shown_when_days_cannot_be_stored(browser, account, cycle, monkeypatch):
    spend_on(account, 5, api=3)

    def refuse(*args, **kwargs):
        raise DatabaseError("read-only")

    monkeypatch.setattr("django.db.models.query.QuerySet.bulk_create", refuse)
    assert browser.get("/dashboard").status_code == 200
    assert report_of(account).api == 300


def test_prepaid_credits_are_shown_separately(browser, account, cycle):
    ledger.grant_prepaid(account, 10, reference="test")
    UsageWindow.objects.update(allowance=2)
    spend(account, api=5)
    report = report_of(account)
    assert (report.api, report.prepaid, report.total, report.remaining) == (200, 300, 500, 0)
    assert chart.draw_credits(report).used[0].figures["prepaid"] == 300
    page = browser.get("/dashboard").content.decode()
    assert "3 spent in this cycle" in page
    assert "No credits are left" not in page


def test_a_customer_without_credits_sees_a_notice(browser, account, cycle):
    UsageWindow.objects.update(allowance=0)
    assert "No credits are left" in browser.get("/dashboard").content.decode()


def test_keys_are_listed_by_use_and_the_web_app_is_one(browser, user, account, cycle):
    shop, other = (ApiKey.objects.issue(user, name=name)[0] for name in ("Shop <b>", "Other"))
    for key, count in ((shop, 1), (other, 3)):
        for _ in range(count):
            ledger.post(ledger.hold(account, channel="api", key=key, request_id="x"))
    spend(account, app=2)
    rows = report_of(account).by_key({shop.pk: shop, other.pk: other})
    assert [(row.key, row.total, row.share) for row in rows] == [(other, 300, 50), (None, 200, 33), (shop, 100, 17)]
    page = browser.get("/dashboard").content.decode()
    assert "Shop &lt;b&gt;" in page
    assert "Shop <b>" not in page
    assert shop.prefix in page


def test_a_past_cycle_is_shown_by_its_start(browser, account, cycle):
    spend_on(account, 5, api=3)
    current = ledger.renew(account, account.plan, timezone.now() - timedelta(days=1), timezone.now() + timedelta(days=29))
    spend(ledger.get_account(account.user), api=1)
    record(account, 1, created_at=timezone.now() - timedelta(days=5))
    record(account, 2)
    start = int(cycle.start.timestamp())
    past = browser.get("/dashboard", {"cycle": start})
    assert past.context["report"].api == 300
    assert shown(past) == ["request-1"]
    assert past.context["report"].cycle.end == current.start, "it ends where the next one begins"
    assert "Past cycle" in past.content.decode()
    now = browser.get("/dashboard")
    assert now.context["report"].api == 100
    assert shown(now) == ["request-2", "request-1"]


@pytest.mark.parametrize("path", ["/dashboard", "/dashboard/usage.csv", "/dashboard/requests.csv"])
def test_another_customers_cycle_is_not_found(outsider, account, cycle, path):
    spend(account, api=1)
    assert outsider.get(path, {"cycle": int(cycle.start.timestamp())}).status_code == 404
    assert outsider.get(path, {"cycle": "nonsense"}).status_code == 404


def test_another_customer_sees_nothing_of_it(outsider, user, account, cycle):
    key = ApiKey.objects.issue(user, name="Mine")[0]
    ledger.post(ledger.hold(account, channel="api", key=key, request_id="my-request"))
    record(account, key=key)
    response = outsider.get("/dashboard", {"key": key.lookup})
    assert shown(response) == []
    assert "Mine" not in response.content.decode()
    assert response.context["report"].total == 0


def test_requests_are_newest_first_and_described_in_words(browser, account):
    record(None, 7)
    record(account, 1)
    record(account, 2, status=429, code="monthly_limit_reached", credits=0)
    record(account, 3, status=500, code="internal_error", credits=0)
    response = browser.get("/dashboard")
    assert shown(response) == ["request-3", "request-2", "request-1"]
    page = response.content.decode()
    assert "No credits left" in page
    assert "monthly_limit_reached" in page
    assert "0.12 s" in page


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"status": "delivered"}, ["request-5", "request-4", "request-1"]),
        ({"status": "refused"}, ["request-2"]),
        ({"status": "failed"}, ["request-3"]),
        ({"key": "app"}, ["request-4"]),
        ({"key": "unknown"}, []),
        ({"key": "mine", "status": "delivered"}, ["request-5"]),
        ({"status": "nonsense"}, ["request-5", "request-4", "request-3", "request-2", "request-1"]),
        ({"before": "nonsense"}, ["request-5", "request-4", "request-3", "request-2", "request-1"]),
        ({"before": "99999999999999999-1"}, ["request-5", "request-4", "request-3", "request-2", "request-1"]),
    ],
)
def test_requests_are_filtered(browser, user, account, query, expected):
    key = ApiKey.objects.issue(user, name="Mine")[0]
    record(account, 1)
    record(account, 2, status=400, code="missing_image")
    record(account, 3, status=503, code="server_busy")
    record(account, 4, channel="app")
    record(account, 5, key=key)
    if query.get("key") == "mine":
        query = query | {"key": key.lookup}
    assert shown(browser.get("/dashboard", query)) == expected


def test_pages_follow_each_other_without_gap_or_repeat(browser, account):
    moment = timezone.now()
    for number in range(2 * PAGE_SIZE + 3):
        # Many at the same time: the number distinguishes them.
        record(account, number, created_at=moment - timedelta(seconds=number // 40))
    seen, query = [], ""
    while True:
        response = browser.get(f"/dashboard?{query}")
        seen += shown(response)
        query = response.context["older_query"]
        if not query:
            break
    assert len(seen) == len(set(seen)) == 2 * PAGE_SIZE + 3
    assert "Newest" in response.content.decode()


def test_the_page_costs_at_most_twelve_queries(browser, user, account, cycle, django_assert_max_num_queries):
    key = ApiKey.objects.issue(user, name="Mine")[0]
    record(account, key=key)
    spend_on(account, 5, api=3)
    with django_assert_max_num_queries(12):
        browser.get("/dashboard")  # stores closed days
    assert DailyUsage.objects.exists()
    spend_on(account, 3, api=1)
    with django_assert_max_num_queries(12):
        browser.get("/dashboard")  # moves on
    with django_assert_max_num_queries(9):
        browser.get("/dashboard")


def test_a_calendar_month_costs_no_more(browser, account, django_assert_max_num_queries):
    with django_assert_max_num_queries(12):
        browser.get("/dashboard")
    spend(account, api=1)
    with django_assert_max_num_queries(12):
        browser.get("/dashboard")


def test_billing_leads_here(browser):
    assert 'href="/dashboard"' in browser.get("/billing").content.decode()


@pytest.mark.parametrize(
    ("highest", "step"), [(0, 1), (1, 1), (4, 1), (5, 2), (8, 2), (9, 5), (20, 5), (21, 10), (310, 100), (4_001, 2_000)]
)
def test_the_grid_has_round_figures(highest, step):
    assert chart.round_step(highest) == step


def test_bars_stack_up_to_the_grid_and_follow_the_reading_direction(account, cycle):
    spend_on(account, 10, api=2, app=2)
    spend(account, api=1)
    drawn, turned = chart.draw_credits(report_of(account)), chart.draw_credits(report_of(account), is_rtl=True)
    first = drawn.days[0]
    assert [part.kind for part in first.parts] == ["api", "app"]
    assert first.parts[0].y + first.parts[0].height == drawn.ground
    assert first.parts[1].y == drawn.grid[-1][1], "the highest day reaches the highest line"
    assert (drawn.days[0].x, turned.days[-1].x) == ("0.000%", "0.000%")
    assert sum(day.is_labelled for day in drawn.days) <= chart.MAX_LABELS


def test_every_bucket_has_a_part():
    assert {"api", "app", Bucket.PREPAID} == set(chart.CREDIT_PARTS)


@pytest.mark.parametrize(
    ("status", "code", "text"),
    [(200, "", "Delivered"), (429, "rate_limited", "Too many requests at a time"), (418, "new", "Refused"),
     (502, "new", "A fault on our side")],
)  # fmt: skip
def test_outcomes_are_sentences(status, code, text):
    assert outcomes.describe(status, code) == text


@pytest.mark.parametrize(
    "code", sorted({row.code for row in error_guide.rmbg_errors()} - {"not_found", "method_not_allowed"})
)
def test_every_refusal_of_an_image_has_a_separate_sentence(code):
    assert outcomes.describe(400, code) != outcomes.describe(400, "no such code")
