"""The short-lived cache of key look-ups, with a real Redis."""

import json
import pickle
from collections.abc import Iterator
from datetime import timedelta

import pytest
import redis
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from accounts import key_cache
from accounts.models import ApiKey
from lib.ops import redis_client
from lib.web import rate_limits

pytestmark = [pytest.mark.django_db(transaction=True, serialized_rollback=True), pytest.mark.services]


@pytest.fixture
def in_redis(settings, redis_url: str) -> Iterator[redis.Redis]:
    """The product with REDIS_URL set, and Redis empty."""
    connection = redis.Redis.from_url(redis_url)
    connection.flushdb()
    use_redis(settings, redis_url)
    yield connection
    connection.flushdb()


def use_redis(settings, url: str) -> None:
    settings.REDIS_URL = url
    settings.CACHES = {"default": redis_client.cache_options(url, "")}
    rate_limits.reset()


def call(key: str) -> int:
    """400 means that the key was accepted: the request has no image."""
    return Client(headers={"x-api-key": key}).post("/rmbg").status_code


def key_queries(key: str, queries) -> int:
    with queries() as captured:
        assert call(key) == 400
    return len([query for query in captured if "accounts_apikey" in query["sql"]])


def test_a_second_call_does_not_query_the_key(in_redis, key, django_capture_queries):
    assert key_queries(key, django_capture_queries) > 0
    assert key_queries(key, django_capture_queries) == 0


@pytest.fixture
def django_capture_queries():
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    return lambda: CaptureQueriesContext(connection)


def test_the_cached_entry_holds_no_secret(in_redis, user, key):
    call(key)
    # Only the entries of this key: the others do not belong to this test.
    (name,) = in_redis.keys(f"*api_key:{user.api_keys.get().lookup}")
    facts = json.loads(in_redis.get(name))
    assert key not in name.decode()
    assert key not in str(facts)
    assert user.password not in str(facts)
    assert user.email not in str(facts)
    assert 0 < in_redis.ttl(name) <= key_cache.LIFETIME_SECONDS


ENDINGS = {
    "revoked": lambda user, key: key.revoke(),
    "all revoked": lambda user, key: user.revoke_keys(),
    "rotated": lambda user, key: key.rotate(timedelta(0)),
    "deactivated": lambda user, key: user.set_active(False),
}


@pytest.mark.parametrize("end", ENDINGS.values(), ids=ENDINGS.keys())
def test_a_cached_key_that_ends_is_a_401_on_the_next_call(in_redis, user, key, end):
    for _ in range(2):
        assert call(key) == 400
    end(user, ApiKey.objects.get())
    assert call(key) == 401


def test_a_cached_key_expires_on_time(in_redis, user, key):
    ApiKey.objects.update(expires_at=timezone.now() + timedelta(seconds=0.3))
    assert call(key) == 400
    import time

    time.sleep(0.4)
    assert call(key) == 401


def test_a_slow_reader_does_not_bring_a_revoked_key_back(in_redis, key):
    """It reads the row before the revocation and caches it afterwards."""
    row = ApiKey.objects.select_related("user").get()
    ApiKey.objects.get().revoke()
    row.remember()
    assert call(key) == 401


def test_a_revocation_that_is_rolled_back_changes_nothing(in_redis, key):
    from django.db import transaction

    call(key)
    with transaction.atomic():
        ApiKey.objects.get().revoke()
        transaction.set_rollback(True)
    assert call(key) == 400


def test_a_wrong_secret_for_a_cached_key_is_a_401(in_redis, key):
    from tests.accounts.test_key_authentication import changed

    call(key)
    assert call(changed(key)) == 401


def test_a_raised_cap_takes_effect_at_once(in_redis, quick_model, key, small_png):
    from tests.accounts.test_key_usage import call as remove_background

    ApiKey.objects.update(monthly_credit_cap=1)
    assert [remove_background(key, small_png).status_code for _ in range(3)] == [200, 429, 429]
    ApiKey.objects.get().edit(name="raised", monthly_credit_cap=2)
    assert remove_background(key, small_png).status_code == 200


def test_a_value_that_another_program_left_is_not_read(in_redis, user, key):
    """The previous release stored pickles; loading one would run any code that someone puts into Redis."""
    ran: list[str] = []

    class Program:
        def __reduce__(self):
            return ran.append, ("it ran",)

    lookup = user.api_keys.get().lookup
    for name in (f"api_key:{lookup}", f":1:api_key:{lookup}", f"cache:1:api_key:{lookup}"):
        in_redis.set(name, pickle.dumps(Program()))
    assert call(key) == 400
    assert ran == []


def test_without_redis_the_database_is_queried(settings, key):
    use_redis(settings, "redis://127.0.0.1:1/0")
    assert call(key) == 400
    ApiKey.objects.get().revoke()
    assert call(key) == 401
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    cache.clear()
