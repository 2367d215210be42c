"""Concurrent places in Redis: they last as long as the request and its response."""

import time

import pytest
import redis

from lib.web import rate_limits
from lib.web.errors import ApiError
from lib.web.rate_limits import Policy

pytestmark = pytest.mark.services

POLICY = Policy("account:places", 1000, 1)


@pytest.fixture(autouse=True)
def _in_redis(settings, redis_url, monkeypatch):
    """Leases of two seconds, so that no test waits for real ones. Redis counts whole seconds: one may be barely over one."""
    settings.REDIS_URL = redis_url
    monkeypatch.setattr(rate_limits, "LEASE_SECONDS", 2)
    monkeypatch.setattr(rate_limits, "RENEW_SECONDS", 0.2)
    monkeypatch.setattr(rate_limits, "renewer", rate_limits._LeaseRenewer())
    rate_limits.reset()
    yield
    rate_limits.reset()


def is_taken() -> bool:
    try:
        with rate_limits.concurrent_place(POLICY):
            return False
    except ApiError as refusal:
        return refusal.code == "rate_limited"


def test_a_request_that_outlasts_its_lease_keeps_its_place():
    with rate_limits.concurrent_place(POLICY):
        for _ in range(7):
            time.sleep(0.5)
            assert is_taken()
    assert not is_taken()


def test_an_answer_that_is_not_read_keeps_the_place_until_it_ends(redis_url):
    with rate_limits.concurrent_place(POLICY) as place:
        place.keep()
    time.sleep(3.5)
    assert is_taken()
    began = time.perf_counter()
    place.leave_soon()
    assert time.perf_counter() - began < 0.05, "the thread of all connections does not wait for Redis"
    deadline = time.monotonic() + 5
    while is_taken():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    with redis.Redis.from_url(redis_url) as client:
        assert client.zcard("concurrent:account:places") == 0


def test_a_place_of_a_process_that_was_killed_lapses():
    thread = rate_limits.renewer
    with rate_limits.concurrent_place(POLICY) as place:
        thread.forget(place)
        place.keep()
    assert is_taken()
    time.sleep(3.1)
    assert not is_taken()


def test_a_failed_request_leaves_its_place_although_an_answer_was_to_keep_it():
    with pytest.raises(ValueError, match="broken"), rate_limits.concurrent_place(POLICY) as place:
        place.keep()
        raise ValueError("broken")
    assert not is_taken()
