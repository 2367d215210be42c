"""The admin's first page: the figures of the day, each linked to its list, with few queries."""

from datetime import timedelta

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from accounts.models import User
from billing.credits import ledger
from billing.models import CreditPack, Hold, PackPurchase, Plan, RequestRecord, StripeEvent, StripePrice, Subscription
from tests.billing.support.staff import browser_of, make_staff, record

pytestmark = pytest.mark.django_db

INDEX = "/admin/"
MAX_QUERIES = 12


@pytest.fixture
def support() -> Client:
    return browser_of(make_staff("Support"))


def figures(browser: Client) -> dict:
    cache.clear()
    return browser.get(INDEX).context["desk"]


def named(facts: list[dict], label: str) -> dict:
    return next(one for one in facts if one["label"] == label)


@pytest.fixture
def busy(account) -> None:
    """The records of a day, and some of the days before."""
    now = timezone.now()
    for number, duration in enumerate(range(100, 2100, 100)):
        record(account, f"api-{number}", duration_ms=duration)
    record(account, "app-1", channel="app", duration_ms=100)
    record(None, "anonymous-1", channel="anonymous", duration_ms=100)
    for number in range(3):
        record(account, f"large-{number}", code="image_too_large", duration_ms=99_999)
    record(account, "busy-1", code="busy")
    for days, count in ((1, 2), (13, 1), (14, 5)):
        for number in range(count):
            old = record(account, f"old-{days}-{number}")
            RequestRecord.objects.filter(pk=old.pk).update(created_at=now - timedelta(days=days))


def test_images_errors_and_times_of_today(support, busy):
    desk = figures(support)
    assert {one["label"]: one["count"] for one in desk["channels"]} == {"API": 20, "web app": 1, "anonymous": 1}
    assert [(one["label"], one["count"]) for one in desk["errors"]] == [("image_too_large", 3), ("busy", 1)]
    # 22 images: 100 three times, then 200, 300, … 2000. Errors do not count.
    assert (desk["latency"]["sample"], desk["latency"]["p50"], desk["latency"]["p95"]) == (22, 900, 1900)


def test_a_bar_a_day_for_fourteen_days(support, busy):
    desk = figures(support)
    expected = [(1, 0), *[(0, 0)] * 11, (2, 0), (22, 4)]
    assert [(day["delivered"], day["failed"]) for day in desk["days"]] == expected
    bars = desk["chart"].days
    assert [(bar.figures["delivered"], bar.figures["failed"]) for bar in bars] == expected
    assert [part.kind for part in bars[-1].parts] == ["delivered", "failed"]
    assert bars[-1].text.endswith(": 22 delivered, 4 errors")
    assert bars[-1].text in support.get(INDEX).content.decode()


def test_customers_and_money_today_and_in_seven_days(support, account):
    now = timezone.now()
    week = now - timedelta(days=6)
    price = StripePrice.objects.create(
        stripe_id="price_2", lookup_key="b", pack=CreditPack.objects.all()[0], amount_cents=500
    )
    for number, at in enumerate((now, week, now - timedelta(days=8))):
        User.objects.filter(pk=User.objects.create_user(f"new{number}@example.com").pk).update(date_joined=at)
        PackPurchase.objects.create(
            account=account, price=price, checkout_id=f"cs_{number}", payment_intent_id=f"pi_{number}", credits=100,
            amount_cents=500, created_at=at,
        )  # fmt: skip
        Subscription.objects.create(
            account=account, stripe_id=f"sub_{number}", status="canceled", started_at=at, ended_at=at, period_start=at,
            period_end=at,
        )  # fmt: skip
        for kind, status in (("charge.refunded", "processed"), ("charge.dispute.created", "flagged"), ("x", "failed")):
            StripeEvent.objects.create(
                stripe_id=f"evt_{kind}{number}", type=kind, object_id="x", status=status, received_at=at
            )
    desk = figures(support)
    shown = {one["label"]: (one["today"]["count"], one["week"]["count"]) for one in desk["happened"]}
    # The customer and the staff member are new, too.
    assert shown.pop("New accounts") == (3, 4)
    assert set(shown.values()) == {(1, 2)}
    packs = named(desk["happened"], "Packs sold")
    assert (packs["today"]["cents"], packs["week"]["cents"]) == (500, 1000)
    assert "$10" in support.get(INDEX).content.decode()


def test_what_waits_for_staff_however_old(support, account):
    for number, status in enumerate(("failed", "failed", "flagged", "received", "processed")):
        StripeEvent.objects.create(
            stripe_id=f"evt_{number}",
            type="x",
            object_id="x",
            status=status,
            received_at=timezone.now() - timedelta(days=99),
        )
    for age in (1, 16, 999):
        held = ledger.hold(account, channel="api", key=None, request_id=f"request-{age}")
        Hold.objects.filter(pk=held.pk).update(created_at=timezone.now() - timedelta(minutes=age))
    counts = [one["count"] for one in figures(support)["waiting"]]
    assert counts == [2, 1, 1, 2]


def test_each_figure_leads_to_a_list_of_as_many_rows(support, busy, account):
    now = timezone.now()
    StripeEvent.objects.create(stripe_id="evt_1", type="charge.refunded", object_id="x", status="failed")
    Subscription.objects.create(
        account=account, stripe_id="sub_1", status="active", started_at=now, period_start=now, period_end=now
    )
    held = ledger.hold(account, channel="api", key=None, request_id="request-old")
    Hold.objects.filter(pk=held.pk).update(created_at=now - timedelta(minutes=16))
    desk = figures(support)
    linked = [*desk["channels"], *desk["errors"], *desk["waiting"], *(one["week"] for one in desk["happened"])]
    linked += [{"link": day["link"], "count": day["delivered"] + day["failed"]} for day in desk["days"]]
    for one in linked:
        listed = support.get(one["link"])
        assert listed.status_code == 200, one
        assert listed.context["cl"].result_count == one["count"], one
    assert support.get(desk["latency"]["link"]).context["cl"].result_count == 22


def test_an_empty_deployment_has_a_page_too(support):
    desk = figures(support)
    assert desk["chart"].used == []
    assert desk["latency"] == {"sample": 0}
    assert "Errors today" in support.get(INDEX).content.decode()


def test_the_page_takes_few_queries_even_when_nothing_is_cached(support, busy, django_assert_max_num_queries):
    support.get(INDEX)
    cache.clear()
    with django_assert_max_num_queries(MAX_QUERIES):
        support.get(INDEX)


def test_figures_are_cached_for_a_short_time(support, account, django_assert_max_num_queries):
    assert Plan.objects.exists()
    before = figures(support)
    record(account, "request-new")
    with django_assert_max_num_queries(5):
        assert support.get(INDEX).context["desk"] == before


def test_staff_who_may_see_no_accounts_see_no_figures():
    member = make_staff("Readers")
    member.groups.clear()
    response = browser_of(member).get(INDEX)
    assert response.status_code == 200
    assert response.context["desk"] is None
    assert "Needs attention" not in response.content.decode()
