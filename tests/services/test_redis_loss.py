"""Redis emptied, killed, frozen and restarted under the running product: figures stay right, callers hardly notice."""

import shutil
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from lib.ops.redis_client import PAUSE_SECONDS
from tests.conftest import skip_or_fail
from tests.redis_server import RedisServer
from tests.services.deployment import Deployment

pytestmark = pytest.mark.services

NOTICEABLE_SECONDS = 1.5


@pytest.fixture(scope="module")
def own_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    if shutil.which("redis-server") is None:
        skip_or_fail("there is no redis-server")
    running = RedisServer(tmp_path_factory.mktemp("redis")).start()
    yield running
    running.kill()


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory, own_redis: RedisServer) -> Iterator[Deployment]:
    running = Deployment(tmp_path_factory.mktemp("outage"), REDIS_URL=own_redis.url)
    running.start()
    yield running
    running.stop()


def timed(deployment: Deployment, key: str, image: bytes, times: int) -> list[tuple[int, float]]:
    """Send one request after another; return (status, seconds) of each."""
    answers = []
    for _ in range(times):
        started = time.monotonic()
        status = deployment.cut_out(key, image).status_code
        answers.append((status, time.monotonic() - started))
    return answers


def assert_served_quickly(answers: list[tuple[int, float]]) -> None:
    assert {status for status, _ in answers} == {200}
    assert max(seconds for _, seconds in answers) < NOTICEABLE_SECONDS


def assert_figures_agree(deployment: Deployment, account: dict[str, str], posted: int) -> None:
    usage = deployment.usage(account["key"])
    assert (usage["api_usage"], usage["billingCycle"]["apiUsage"]) == (posted, posted)
    figures = deployment.call("read", email=account["email"])
    assert (figures["differences"], figures["states"]) == ([], {"posted": posted})


def test_a_flush_in_the_middle_of_a_run_loses_no_figure(on_postgres, redis_url, small_png):
    account = on_postgres.call("open_account", included=100)
    cycle = on_postgres.call("start_cycle", email=account["email"])
    key, uid = account["key"], account["uid"]
    with ThreadPoolExecutor(4) as senders, redis.Redis.from_url(redis_url) as client:
        streams = [senders.submit(timed, on_postgres, key, small_png, 5) for _ in range(4)]
        for _ in range(3):
            time.sleep(0.15)
            client.flushdb()
        answers = [answer for stream in streams for answer in stream.result()]
        assert_served_quickly(answers)
        client.flushdb()
    assert_figures_agree(on_postgres, account, 20)
    assert on_postgres.documented_usage(uid) == {"app": None, "api": None}

    assert_served_quickly(timed(on_postgres, key, small_png, 1))
    assert on_postgres.documented_usage(uid) == {"app": "0", "api": "21"}
    for name, value in {
        f"app_usage:cycle:{cycle['start']}": 0,
        f"api_usage:cycle:{cycle['start']}": 21,
        "billing_period_start": cycle["start"],
        "billing_period_end": cycle["end"],
    }.items():
        assert on_postgres.redis_get(f"user:{uid}:{name}") == str(value), name


def test_after_a_flush_a_prepaid_credit_brings_the_documented_keys_back_too(on_postgres, redis_url, small_png):
    account = on_postgres.call("open_account", included=1, prepaid=2)
    assert_served_quickly(timed(on_postgres, account["key"], small_png, 2))
    with redis.Redis.from_url(redis_url) as client:
        client.flushdb()
    assert_served_quickly(timed(on_postgres, account["key"], small_png, 1))
    assert on_postgres.documented_usage(account["uid"]) == {"app": "0", "api": "1"}


def test_requests_go_on_while_redis_is_down_and_the_keys_come_back_with_it(deployment, own_redis, small_png):
    account = deployment.call("open_account", included=100)
    key = account["key"]
    assert_served_quickly(timed(deployment, key, small_png, 3))
    own_redis.kill()
    assert_served_quickly(timed(deployment, key, small_png, 8))
    assert deployment.usage(key)["api_usage"] == 11
    own_redis.start()
    time.sleep(PAUSE_SECONDS + 0.2)
    assert_served_quickly(timed(deployment, key, small_png, 1))
    assert deployment.documented_usage(account["uid"]) == {"app": "0", "api": "12"}
    assert_figures_agree(deployment, account, 12)


def test_a_redis_that_hangs_holds_up_no_request_noticeably(deployment, own_redis, small_png):
    account = deployment.call("open_account", included=100)
    assert_served_quickly(timed(deployment, account["key"], small_png, 2))
    own_redis.send(signal.SIGSTOP)
    try:
        answers = timed(deployment, account["key"], small_png, 8)
    finally:
        own_redis.send(signal.SIGCONT)
    assert_served_quickly(answers)
    assert_figures_agree(deployment, account, 10)
