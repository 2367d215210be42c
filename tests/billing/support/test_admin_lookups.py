"""The admin's lists can only be filtered by the columns they offer, so that no hidden value can be guessed."""

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.db.models import Field, Model
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import ApiKey, User
from billing.credits import ledger
from billing.support import dashboard
from billing.support.roles import READERS, SUPPORT
from imaging.models import Batch
from tests.billing.support.staff import browser_of, make_staff, record
from tests.examples import EXHAUSTIVE

pytestmark = pytest.mark.django_db

SECRET_URL = "https://user:pw@hooks.example.com/cb?secret=hunter2"
LOOKUPS = ["", "__exact", "__regex", "__startswith", "__contains", "__gte", "__in", "__isnull", "__year"]
MODELS = sorted(admin.site._registry, key=lambda model: model._meta.label)
# What each list offers, listed by hand, so that a new filter in the admin gets reviewed here.
OFFERED = {
    "accounts.User": {"is_active", "is_staff", "date_joined__gte"},
    "billing.Account": {"plan"},
    "billing.RequestRecord": {"endpoint", "channel", "status", "created_at", "code__exact"},
    "billing.LedgerEntry": {"kind", "bucket", "created_at", "hold__channel"},
    "billing.Hold": {"state", "bucket", "channel", "created_at", "held_until__isnull"},
    "billing.Subscription": {"status", "cancel_at_period_end", "started_at", "ended_at__gte"},
    "billing.PackPurchase": {"dispute_status", "created_at"},
    "billing.StripeEvent": {"status", "type", "received_at"},
    "admin.LogEntry": {"content_type", "action_time"},
    "imaging.Batch": {"state", "channel", "created_at"},
    "imaging.Callback": {"state", "created_at"},
}


@pytest.fixture
def _rows(user, key) -> Batch:
    account = ledger.get_account(user)
    record(account)
    return Batch.objects.create(
        account=account, channel="api", request_id="r", callback_url=SECRET_URL, idempotency_key="retry-secret",
        options={"format": "png", "bg_image_url": SECRET_URL}, expires_at=timezone.now() + timedelta(days=1),
    )  # fmt: skip


@pytest.fixture(params=[READERS, SUPPORT, "superuser"])
def browser(request: pytest.FixtureRequest, db: None) -> Client:
    if request.param == "superuser":
        return browser_of(User.objects.create_superuser("root@example.com", "correct horse"))
    return browser_of(make_staff(request.param))


def changelist(model: type[Model]) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


def paths(model: type[Model]) -> list[str]:
    """Every column, and the columns of related rows."""
    found = []
    for field in model._meta.get_fields():
        found.append(field.name)
        related = field.related_model if field.is_relation else None
        if isinstance(related, type) and related is not model:
            found += [f"{field.name}__{one.name}" for one in related._meta.get_fields() if isinstance(one, Field)]
    return [*found, "user__password", "key__digest", "account__user__password", "hold__key__digest", "batch__callback_url"]


def is_offered(model: type[Model], lookup: str) -> bool:
    offered = OFFERED.get(model._meta.label, set())
    name, _, last = lookup.replace("__id__exact", "__exact").rpartition("__")
    return lookup in offered or (name in offered and last in ("exact", "isnull", "gte", "lt", "year", "month", "day", "id"))


@pytest.mark.parametrize("model", MODELS, ids=[model._meta.label for model in MODELS])
def test_no_list_may_be_filtered_by_a_column_that_it_does_not_offer(rf, model):
    listed = admin.site._registry[model]
    request = rf.get("/")
    request.user = User(is_superuser=True, is_staff=True)
    allowed = {
        path + suffix for path in paths(model) for suffix in LOOKUPS if listed.lookup_allowed(path + suffix, "1", request)
    }
    assert {lookup for lookup in allowed if not is_offered(model, lookup)} == set()


@pytest.mark.usefixtures("_rows")
@pytest.mark.parametrize("model", MODELS, ids=[model._meta.label for model in MODELS])
def test_a_filter_that_is_not_offered_is_a_400(browser, model):
    page = changelist(model)
    if browser.get(page).status_code == 403:
        return
    for field in model._meta.concrete_fields:
        if not is_offered(model, f"{field.name}__regex"):
            assert browser.get(page, {f"{field.name}__regex": "^."}).status_code == 400, field.name


@pytest.mark.usefixtures("_rows")
def test_neither_password_hashes_nor_digests_can_be_guessed(browser, user):
    password, digest = user.password, ApiKey.objects.get().digest
    for model, name, value in (
        (User, "password", password), (User, "api_keys__digest", digest), (ApiKey, "digest", digest),
        (ApiKey, "user__password", password), (Batch, "callback_url", SECRET_URL), (Batch, "idempotency_key", "retry"),
    ):  # fmt: skip
        for lookup in ("startswith", "regex", "gte"):
            answer = browser.get(changelist(model), {f"{name}__{lookup}": value[:3]})
            assert answer.status_code == 400, (name, lookup)


@pytest.mark.usefixtures("_rows")
def test_neither_order_nor_search_nor_popups_reveal_more(browser, user):
    for model in MODELS:
        page = changelist(model)
        if browser.get(page).status_code == 403:
            continue
        for query in (
            {"q": user.password[:8]}, {"q": ApiKey.objects.get().digest[:8]}, {"o": "99.-98.77"}, {"o": "password"},
            {"_popup": "1", "_to_field": "password"}, {"q": "hunter2"}, {"all": ""}, {"p": "99999999999999999999"},
        ):  # fmt: skip
            answer = browser.get(page, query)
            assert answer.status_code in (200, 302, 400), (model, query)
            text = answer.content.decode()
            assert user.password not in text
            assert "secret=hunter2" not in text


def test_what_the_lists_offer_works(browser, _rows):
    for model, query in (
        ("accounts_user", {"is_active__exact": "1"}), ("billing_requestrecord", {"status": "200", "channel__exact": "api"}),
        ("billing_account", {"plan__id__exact": "1"}), ("billing_hold", {"state__exact": "held"}),
        ("imaging_batch", {"created_at__year": "2026", "created_at__month": "11"}),
        ("billing_ledgerentry", {"hold__channel__exact": "api"}),
    ):  # fmt: skip
        assert browser.get(reverse(f"admin:{model}_changelist"), query).status_code == 200, query


def test_every_link_of_the_days_figures_works(browser, _rows):
    facts = dashboard.read(timezone.now())

    def links(facts: Any) -> list[str]:
        if isinstance(facts, dict):
            own = [value for name, value in facts.items() if name == "link"]
            return own + [link for value in facts.values() for link in links(value)]
        return [link for one in facts for link in links(one)] if isinstance(facts, list) else []

    found = links(facts)
    assert len(found) > 20
    for link in found:
        assert browser.get(link).status_code == 200, link


EXTREMES = ["0", "99999", "9" * 30, "9999", "x", "\x00"]
# One query per test: PostgreSQL refuses some, which ends the transaction that the test runs in.
EXTREME_QUERIES = [
    *(query for value in EXTREMES for query in (
        {"created_at__year": value}, {"created_at__year": "9999", "created_at__month": value},
        {"created_at__year": "9999", "created_at__month": "12", "created_at__day": value}, {"created_at__gte": value},
        {"status": value}, {"code__exact": value},
    )),
    {"created_at__lt": "9999-12-31T23:59:59-23:59"}, {"created_at__gte": "0001-01-01T00:00+23:59"},
]  # fmt: skip


# What a list makes of a value does not depend on who reads it.
by_one_reader = pytest.mark.parametrize(
    "browser", [READERS, SUPPORT, "superuser"] if EXHAUSTIVE else [SUPPORT], indirect=True
)


@by_one_reader
@pytest.mark.parametrize("query", EXTREME_QUERIES, ids=repr)
def test_extreme_dates_are_reported_and_do_not_crash(browser, _rows, query):
    page = reverse("admin:billing_requestrecord_changelist")
    assert browser.get(page, query).status_code in (200, 302, 400)


@by_one_reader
@pytest.mark.parametrize("day", ["9999-12-31", "0001-01-01", "9999-12-30", "10000-01-01", "-1", "x", "2026-02-30"])
def test_extreme_days_of_an_account_page(browser, user, day):
    page = reverse("admin:billing_account_change", args=[ledger.get_account(user).pk])
    assert browser.get(page, {"day": day}).status_code == 200


@pytest.mark.parametrize("query", [{"before": f"{'9' * 17}-1"}, {"cycle": "9" * 30}, {"before": "0-0"}, {"cycle": "-1"}])
@pytest.mark.parametrize("page", ["/dashboard", "/dashboard/usage.csv", "/dashboard/requests.csv"])
def test_extremes_on_the_customers_dashboard(client, user, page, query):
    client.force_login(user)
    assert client.get(page, query).status_code in (200, 404)


def test_readers_see_where_a_batch_calls_but_not_the_address(browser, _rows):
    page = reverse("admin:imaging_batch_change", args=[_rows.pk])
    text = browser.get(page).content.decode()
    assert "https://hooks.example.com" in text
    assert "format=png" in text
    for secret in ("hunter2", "user:pw", "retry-secret"):
        assert secret not in text
    assert browser.get(reverse("admin:imaging_batch_change", args=[uuid.uuid4()])).status_code in (302, 404)
