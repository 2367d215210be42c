"""Wrong keys and tokens: up to a limit per minute they get a 401, above it a 429 without a query."""

import time

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts import failed_calls
from accounts.keys import new_key

pytestmark = pytest.mark.django_db

LIMIT = 5


@pytest.fixture(autouse=True)
def _few(settings) -> None:
    settings.FAILED_CALLS_PER_MINUTE = LIMIT


def call(credential: dict[str, str], path: str = "/rmbg", address: str = "203.0.113.7"):
    client = Client(headers=credential, REMOTE_ADDR=address)
    return client.post(path) if path == "/rmbg" else client.get(path)


def wrong_key() -> dict[str, str]:
    return {"x-api-key": new_key().text}


def fail_too_often(**options: str) -> None:
    assert [call(wrong_key(), **options).status_code for _ in range(LIMIT + 1)] == [401] * (LIMIT + 1)


WRONG = {
    "unknown key": wrong_key,
    "garbled key": lambda: {"x-api-key": "nonsense"},
    "garbled token": lambda: {"Authorization": "Bearer nonsense"},
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG.keys())
@pytest.mark.parametrize("path", ["/rmbg", "/api/batches"])
def test_past_the_limit_it_is_a_429_without_a_query(wrong, path):
    fail_too_often()
    with CaptureQueriesContext(
        connection,
    ) as queries:
        response = call(wrong(), path)
    assert (response.status_code, response.json()["code"]) == (429, "rate_limited")
    assert 1 <= int(response.headers["Retry-After"]) <= 60
    assert len(queries) == 0


def test_usage_accepts_only_keys_and_is_limited_too():
    fail_too_often(path="/api/membership-usage")
    assert call(wrong_key(), "/api/membership-usage").status_code == 429


def test_another_address_is_not_affected():
    fail_too_often()
    assert call(wrong_key(), address="203.0.113.8").status_code == 401


def test_a_key_that_worked_a_while_ago_keeps_working(key):
    assert call({"x-api-key": key}).status_code == 400
    fail_too_often()
    assert call(wrong_key()).status_code == 429
    assert call({"x-api-key": key}).status_code == 400


def test_a_good_key_works_again_after_the_minute(key, monkeypatch):
    fail_too_often()
    assert call({"x-api-key": key}).status_code == 429
    wait = int(call({"x-api-key": key}).headers["Retry-After"])
    later = time.monotonic() + wait
    monkeypatch.setattr("accounts.failed_calls.time.monotonic", lambda: later)
    assert call({"x-api-key": key}).status_code == 400


def test_with_limits_off_no_call_is_limited(settings):
    settings.RATE_LIMIT_ENABLED = False
    assert {call(wrong_key()).status_code for _ in range(3 * LIMIT)} == {401}


def test_what_is_remembered_is_bounded(monkeypatch):
    monkeypatch.setattr(failed_calls, "CAPACITY", 3)
    until = failed_calls._Until()
    for name in "abcde":
        until.add(name, 60)
    assert [bool(until.seconds_left(name)) for name in "abcde"] == [False, False, True, True, True]
