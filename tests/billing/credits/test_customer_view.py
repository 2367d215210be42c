"""Every call of the API counts: as a request of the plan, or as a read with a wider limit."""

from collections.abc import Iterator

import pytest
from django.test import Client
from django.urls import URLResolver, get_resolver
from rest_framework.views import APIView

from accounts.models import User
from accounts.page_reads import _UNCOUNTED
from billing.credits import ledger
from billing.credits.customer_view import CustomerView
from billing.models import Plan

pytestmark = pytest.mark.django_db

UNKNOWN_BATCH = "00000000-0000-0000-0000-000000000000"
PER_MINUTE = 5


@pytest.fixture(autouse=True)
def _few(settings) -> None:
    settings.READS_PER_MINUTE = PER_MINUTE
    Plan.objects.update(requests_per_minute=0)


READS = ["/api/membership-usage", "/api/batches", f"/api/batches/{UNKNOWN_BATCH}", f"/api/batches/{UNKNOWN_BATCH}/zip"]


@pytest.mark.parametrize("path", READS)
def test_a_key_has_a_limit_of_reads_a_minute(key, path):
    caller = Client(headers={"x-api-key": key})
    assert {caller.get(path).status_code for _ in range(PER_MINUTE)} <= {200, 404}
    refused = caller.get(path)
    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    assert 1 <= int(refused.headers["Retry-After"]) <= 60


def test_all_reads_of_an_account_count_together_and_those_of_another_do_not(user, key):
    from accounts.models import ApiKey

    second = ApiKey.objects.issue(user, name="second")[1].text
    stranger = User.objects.create_user("stranger@example.com")
    stranger.verify_email()
    other = ApiKey.objects.issue(stranger, name="other")[1].text
    for path in (*READS, READS[0]):
        Client(headers={"x-api-key": key}).get(path)
    assert Client(headers={"x-api-key": second}).get(READS[0]).status_code == 429
    assert Client(headers={"x-api-key": second}).post(f"/api/batches/{UNKNOWN_BATCH}/cancel").status_code == 429
    assert Client(headers={"x-api-key": other}).get(READS[0]).status_code == 200


def test_a_plan_for_many_requests_allows_ten_times_as_many_reads(user, key):
    Plan.objects.update(requests_per_minute=2)
    caller = Client(headers={"x-api-key": key})
    answers = [caller.get("/api/membership-usage").status_code for _ in range(21)]
    assert answers == [200] * 20 + [429]


@pytest.mark.parametrize("method", ["post", "get", "put", "patch", "delete"])
def test_each_method_counts_as_a_request_where_no_read_is_served(user, key, method):
    Plan.objects.update(requests_per_minute=2)
    caller = Client(headers={"x-api-key": key})
    answers = [caller.generic(method.upper(), "/rmbg") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [400 if method == "post" else 405] * 2 + [429]
    assert answers[-1].headers["RateLimit"].startswith('"minute";r=0;t=')


def test_calls_without_a_key_count_by_address_whatever_their_method(settings):
    settings.ANONYMOUS_REQUESTS_PER_MINUTE = 2
    methods = ["GET", "PUT", "POST"]
    assert [Client().generic(method, "/rmbg").status_code for method in methods] == [405, 405, 429]
    assert Client(REMOTE_ADDR="203.0.113.8").get("/rmbg").status_code == 405


@pytest.mark.parametrize("path", ["/api/membership-usage", "/api/batches", f"/api/batches/{UNKNOWN_BATCH}/callback/retry"])
def test_a_method_that_is_not_a_read_counts_as_a_request(user, key, path):
    Plan.objects.update(requests_per_minute=1)
    caller = Client(headers={"x-api-key": key})
    assert caller.put(path).status_code == 405
    refused = caller.put(path)
    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    assert 1 <= int(refused.headers["Retry-After"]) <= 60


def test_every_endpoint_that_pages_do_not_count_counts_for_itself():
    uncounted = [view for path, view in api_views(get_resolver()) if path.startswith(_UNCOUNTED)]
    assert len(uncounted) == 9
    assert {view for view in uncounted if not issubclass(view, CustomerView)} == set()


def api_views(resolver: URLResolver, prefix: str = "/") -> Iterator[tuple[str, type[APIView]]]:
    """The DRF views below the resolver, each with its path."""
    for pattern in resolver.url_patterns:
        path = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from api_views(pattern, path)
        elif issubclass(view := getattr(pattern.callback, "cls", object), APIView):
            yield path, view


def test_images_do_not_count_as_reads(user, key):
    Plan.objects.update(requests_per_minute=100)
    ledger.get_account(user)
    caller = Client(headers={"x-api-key": key})
    assert {caller.post("/rmbg").status_code for _ in range(3 * PER_MINUTE)} == {400}


@pytest.mark.parametrize("path", ["/dashboard", "/billing/balance", "/status.json", "/pricing", "/api/openapi", "/batches"])
def test_pages_are_counted_by_user_or_else_by_address(client, outsider, user, path, settings):
    settings.READS_PER_MINUTE = 2
    client.force_login(user)
    answers = [client.get(path) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 60
    # At the same address: another customer, and one who is not logged in.
    assert outsider.get(path).status_code == 200
    assert Client().get("/status.json").status_code == 200


def test_visitors_without_a_log_in_count_by_address():
    assert [Client().get("/pricing").status_code for _ in range(PER_MINUTE + 1)] == [200] * PER_MINUTE + [429]
    assert Client(REMOTE_ADDR="203.0.113.8").get("/pricing").status_code == 200
    for probe in ("/healthz", "/readyz"):
        assert Client().get(probe).status_code in (200, 503)


def test_limits_that_are_off_are_off_here_too(settings, key):
    settings.RATE_LIMIT_ENABLED = False
    caller = Client(headers={"x-api-key": key})
    assert {caller.get("/api/membership-usage").status_code for _ in range(2 * PER_MINUTE)} == {200}
