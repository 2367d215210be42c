"""Concurrent requests, each on a separate connection."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from accounts import chores
from accounts.models import MAX_LIVE_KEYS, ApiKey, ApiKeyMonth, Chore, KeyNotLive, TooManyKeys
from billing.credits import key_usage

pytestmark = [
    pytest.mark.django_db(transaction=True, serialized_rollback=True),
    # SQLite's test database lives in memory, where threads share one cache and get "table is locked" instead of waiting.
    pytest.mark.skipif(connection.vendor == "sqlite", reason="`make test-postgres` runs this"),
]


@pytest.fixture
def at_once() -> Callable[[Callable[[], object], int], list[object]]:
    """Runs a function many times in eight threads; a refusal counts as its result."""

    def attempt(act: Callable[[], object]) -> object:
        try:
            return act()
        except (TooManyKeys, KeyNotLive) as refused:
            return type(refused).__name__
        finally:
            connection.close()

    def run(act: Callable[[], object], times: int) -> list[object]:
        with ThreadPoolExecutor(8) as pool:
            return list(pool.map(attempt, [act] * times))

    return run


def test_no_more_than_twenty_live_keys(user, at_once):
    for number in range(MAX_LIVE_KEYS - 3):
        ApiKey.objects.issue(user, name=str(number))
    results = at_once(lambda: ApiKey.objects.issue(user, name="at once")[0].name, 16)
    assert sorted(map(str, results)) == ["TooManyKeys"] * 13 + ["at once"] * 3
    assert ApiKey.objects.live().count() == MAX_LIVE_KEYS


def test_a_cap_is_never_exceeded(user, at_once):
    key, _ = ApiKey.objects.issue(user, name="capped", monthly_credit_cap=5)
    month = timezone.now().date().replace(day=1)
    results = at_once(lambda: key_usage.take(key, month, 100), 24)
    assert sorted(map(str, results)) == ["False"] * 19 + ["True"] * 5
    assert ApiKeyMonth.objects.get().held == 5


def test_only_one_of_many_rotates_a_key(user, at_once):
    key, _ = ApiKey.objects.issue(user, name="rotated")
    results = at_once(lambda: ApiKey.objects.get(pk=key.pk).rotate(timedelta(days=1))[0].name, 8)
    assert sorted(map(str, results)) == ["KeyNotLive"] * 7 + ["rotated"]
    assert ApiKey.objects.count() == 2


def test_only_one_of_many_does_a_chore(at_once):
    assert sorted(map(str, at_once(lambda: chores.take("sweep", timedelta(minutes=1)), 24))) == ["False"] * 23 + ["True"]
    Chore.objects.update(due_at=timezone.now() - timedelta(seconds=1))
    assert sorted(map(str, at_once(lambda: chores.take("sweep", timedelta(minutes=1)), 24))) == ["False"] * 23 + ["True"]
