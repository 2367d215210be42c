"""What the product does while Redis is down, hangs or is full, and after it recovers."""

import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from django.core import mail
from django.core.cache import cache
from django.test import Client

from accounts import key_cache
from accounts.models import ApiKey, User
from lib.ops import redis_client
from lib.web import rate_limits
from lib.web.errors import ApiError
from lib.web.rate_limits import Policy
from tests.conftest import skip_or_fail
from tests.redis_server import RedisServer

pytestmark = [pytest.mark.django_db(transaction=True, serialized_rollback=True), pytest.mark.services]

PASSWORD = "correct horse battery staple"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    if shutil.which("redis-server") is None:
        skip_or_fail("there is no redis-server")
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    if server.process is not None and server.process.poll() is None:
        server.kill()


@pytest.fixture
def own_redis(running: RedisServer, settings, monkeypatch) -> RedisServer:
    """A separate, empty Redis that the product uses."""
    monkeypatch.setattr(redis_client, "PAUSE_SECONDS", 0.4)
    if running.process is None or running.process.poll() is not None:
        running.start()
    with redis.Redis.from_url(running.url) as client:
        client.config_set("maxmemory", 0)
        client.flushall()
    settings.REDIS_URL = running.url
    settings.CACHES = {"default": redis_client.cache_options(running.url, "")}
    rate_limits.reset()
    cache.clear()
    return running


def kill(server: RedisServer) -> None:
    server.kill()


def freeze(server: RedisServer) -> None:
    server.send(signal.SIGSTOP)


def fill(server: RedisServer) -> None:
    """Reads keep working, writes are refused."""
    with redis.Redis.from_url(server.url) as client:
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", 1)


def bring_back(server: RedisServer) -> None:
    """Undoes `kill`, `freeze` or `fill`."""
    if server.process is None or server.process.poll() is not None:
        server.start()
    server.send(signal.SIGCONT)
    with redis.Redis.from_url(server.url) as client:
        client.config_set("maxmemory", 0)
    time.sleep(redis_client.PAUSE_SECONDS + 0.1)


@pytest.fixture(params=[kill, freeze, fill])
def lost(request: pytest.FixtureRequest, own_redis: RedisServer) -> Iterator[RedisServer]:
    """It worked a moment ago, and then fails in one of three ways."""
    cache.set("seen", 1)
    rate_limits.states(Policy("account:0", per_minute=1, at_once=1))
    request.param(own_redis)
    yield own_redis
    if own_redis.process is not None and own_redis.process.poll() is None:
        own_redis.send(signal.SIGCONT)


def log_in(password: str = PASSWORD, email: str = "customer@example.com") -> int:
    """302 means that it worked, 200 that the form is shown again with an error."""
    return Client().post("/accounts/login/", {"login": email, "password": password}).status_code


def test_people_log_in_sign_up_and_reset_their_password_without_redis(lost, user, monkeypatch):
    """The first call waits for one time-out at most, all others for none."""
    waits, blow_fuse = [], redis_client._blow_fuse

    def wait_and_blow() -> None:
        waits.append(1)
        blow_fuse()

    monkeypatch.setattr(redis_client, "_blow_fuse", wait_and_blow)
    monkeypatch.setattr(redis_client, "PAUSE_SECONDS", 600)
    assert log_in() == 302
    assert log_in("wrong") == 200
    new = {"email": "new@example.com", "password1": PASSWORD}
    assert Client().post("/accounts/signup/", new).status_code == 302
    assert Client().post("/accounts/password/reset/", {"email": user.email}).status_code == 302
    assert [message.to for message in mail.outbox] == [["new@example.com"], [user.email]]
    assert len(waits) <= 1


def test_wrong_passwords_are_limited_without_redis_and_after_it_is_back(lost, user):
    assert [log_in("wrong") for _ in range(5)] == [200] * 5
    assert log_in() == 200
    bring_back(lost)
    # Attempts counted while it was down still count.
    assert log_in() == 200
    User.objects.create_user("other@example.com", PASSWORD).verify_email()
    assert log_in(email="other@example.com") == 302


def test_requests_are_counted_in_the_process_without_redis(lost):
    policy = Policy("account:1", per_minute=3, at_once=1)
    for _ in range(3):
        rate_limits.count_request(policy)
    with pytest.raises(ApiError, match="too quickly"):
        rate_limits.count_request(policy)
    with rate_limits.concurrent_place(policy), pytest.raises(ApiError), rate_limits.concurrent_place(policy):
        pass
    with rate_limits.concurrent_place(policy):
        pass


def test_limits_are_counted_in_redis_again_once_it_is_back(lost):
    policy = Policy("account:2", per_minute=3, at_once=1)
    rate_limits.count_request(policy)
    bring_back(lost)
    with rate_limits.concurrent_place(policy):
        rate_limits.count_request(policy)
        with redis.Redis.from_url(lost.url) as client:
            assert client.exists("concurrent:account:2")
            assert client.keys("LIMITS:*account:2*")
    # A Redis that hung then executes the commands it received meanwhile.
    assert rate_limits.states(policy)[0].remaining in (1, 2)


def test_copies_of_usage_come_back_without_another_request(lost, user, quick_model, key, small_png):
    from billing.credits import after_post as usage
    from billing.sweeper import Sweeper
    from tests.imaging.removal.forms import form

    usage._lost.clear()
    answer = Client(headers={"x-api-key": key}).post("/rmbg", **form(small_png))
    assert answer.status_code == 200
    bring_back(lost)
    Sweeper().run_once()
    assert usage._lost == {}
    with redis.Redis.from_url(lost.url) as client:
        assert {client.get(name) for name in client.scan_iter(f"user:{user.public_id}:api_usage:*")} == {b"1"}


def test_keys_are_remembered_again_once_redis_is_back(lost, key):
    call = Client(headers={"x-api-key": key})
    assert call.post("/rmbg").status_code == 400
    bring_back(lost)
    assert call.post("/rmbg").status_code == 400
    assert key_cache.find(ApiKey.objects.get().lookup) is not None


def test_a_key_that_is_revoked_while_redis_is_full_ends_at_once(own_redis, key):
    call = Client(headers={"x-api-key": key})
    assert call.post("/rmbg").status_code == 400
    fill(own_redis)
    ApiKey.objects.get().revoke()
    assert call.post("/rmbg").status_code == 401


def test_the_cache_stores_only_json(own_redis):
    cache.set("facts", {"a": [1.5, "b", None]}, 60)
    with redis.Redis.from_url(own_redis.url) as client:
        assert client.get("cache:1:facts") == b'{"a": [1.5, "b", null]}'
        client.set("cache:1:facts", b"\x80\x04\x95pickled")
    assert cache.get("facts", "nothing") == "nothing"
    with pytest.raises(TypeError):
        cache.set("object", User())


def test_a_value_that_redis_did_not_take_is_read_before_an_older_one_there(own_redis):
    cache.set("count", 1, 60)
    fill(own_redis)
    cache.set("count", 2, 60)
    assert (cache.get("count"), cache.add("count", 3, 60), cache.incr("count")) == (2, False, 3)
    bring_back(own_redis)
    assert cache.get("count") == 3
    cache.set("count", 4, 60)
    assert not cache.delete("never-there")
    assert cache.get("count") == 4
    assert cache.delete("count")
    assert cache.get("count") is None


def test_a_value_that_redis_could_not_remove_is_gone_anyway(own_redis):
    cache.set("lock", 1, 60)
    freeze(own_redis)
    assert cache.delete("lock") is False
    assert cache.get("lock") is None
    own_redis.send(signal.SIGCONT)
    time.sleep(redis_client.PAUSE_SECONDS + 0.1)
    assert cache.add("lock", 2, 60)
    assert cache.get("lock") == 2


def test_clearing_the_cache_leaves_everything_else_in_redis(own_redis):
    with redis.Redis.from_url(own_redis.url) as client:
        client.set("user:u_1:api_usage:2026:1", 5)
        cache.set("own", 1)
        cache.clear()
        assert cache.get("own") is None
        assert client.keys("*") == [b"user:u_1:api_usage:2026:1"]


def names_in_redis(client: redis.Redis) -> set[str]:
    return {name.decode() for name in client.scan_iter("*")}


def test_two_deployments_on_one_redis_do_not_mix(own_redis, settings, user, key, monkeypatch, tmp_path: Path):
    from imaging.executor import presence, store

    store.get_redis.cache_clear()
    policy = Policy("account:1", per_minute=1, at_once=1)
    with redis.Redis.from_url(own_redis.url) as client:
        for prefix in ("one", "two"):
            settings.REDIS_PREFIX = prefix
            settings.CACHES = {"default": redis_client.cache_options(own_redis.url, prefix)}
            rate_limits.reset()
            before = names_in_redis(client)
            # Each of these would be refused, or find the other deployment's, under a shared name.
            rate_limits.count_request(policy)
            assert cache.add("name", prefix)
            assert presence.find_models() == []
            assert key_cache.find(user.api_keys.get().lookup) is None
            with rate_limits.concurrent_place(policy):
                presence.send_heartbeat("worker", "u2net")
                store.put("job", "order")
                assert Client(headers={"x-api-key": key}).post("/rmbg").status_code == 400
                made = names_in_redis(client) - before
            assert {name.partition(":")[0] for name in made} == {prefix}
            assert len(made) >= 6
        rate_limits.reset()
    store.get_redis.cache_clear()
