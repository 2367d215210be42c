"""A database that refuses, hangs, restarts or has too few connections: 503s that recover, and no credit is lost."""

import secrets
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from urllib.parse import urlsplit

import psycopg
import pytest
import requests
from psycopg import sql

from tests.conftest import skip_or_fail
from tests.scratch_databases import DATABASE_URL, scratch_postgres
from tests.services.broker_proxy import BrokerProxy
from tests.services.deployment import Deployment, at_once, code_of

pytestmark = pytest.mark.services

POOL = 5
# How long /readyz may take to report an outage, with a margin for a busy machine.
REPORT_SECONDS = 4.5
# After an outage the first call may still meet its remains.
HEAL_SECONDS = 5.0


@pytest.fixture(scope="module")
def proxy() -> Iterator[BrokerProxy]:
    """A fresh database behind a proxy that can be cut."""
    try:
        with scratch_postgres() as url:
            proxy = BrokerProxy(url)
            yield proxy
            proxy.close()
    except psycopg.OperationalError as error:
        skip_or_fail(f"PostgreSQL does not answer: {error}")


@pytest.fixture(scope="module")
def deployment(tmp_path_factory, proxy: BrokerProxy) -> Iterator[Deployment]:
    """One web process of 48 threads and a small pool."""
    running = Deployment(
        tmp_path_factory.mktemp("outage"), model_seconds=0.3, DATABASE_URL=proxy.url, WEB_THREADS="48",
        DATABASE_POOL_SIZE=str(POOL), RATE_LIMIT_ENABLED="0",
    )  # fmt: skip
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def account(deployment: Deployment) -> dict[str, str]:
    return deployment.call("open_account", included=1000, prepaid=10)


@contextmanager
def refusing(proxy: BrokerProxy) -> Iterator[None]:
    proxy.go_down()
    try:
        yield
    finally:
        proxy.come_back()


@contextmanager
def hanging(proxy: BrokerProxy) -> Iterator[None]:
    proxy.freeze()
    try:
        yield
    finally:
        proxy.thaw()


def get(deployment: Deployment, path: str, **options) -> requests.Response:
    return requests.get(f"{deployment.url}{path}", timeout=30, **options)


def wait_until_healed(deployment: Deployment) -> None:
    """Fails unless the deployment is soon ready, without a restart."""
    deadline = time.monotonic() + HEAL_SECONDS
    while not get(deployment, "/readyz").ok:
        assert time.monotonic() < deadline, get(deployment, "/readyz").text
        time.sleep(0.1)


def backends(url: str) -> int:
    """The product's connections to the database at this address."""
    with psycopg.connect(DATABASE_URL, autocommit=True) as server:
        name = urlsplit(url).path.lstrip("/")
        query = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND application_name <> 'ledger-audit'"
        row = server.execute(query, [name]).fetchone()
    assert row is not None
    return row[0]


@pytest.mark.parametrize("outage", [refusing, hanging])
def test_while_the_database_is_away_every_answer_is_a_503_and_then_it_heals(deployment, proxy, account, small_png, outage):
    assert deployment.cut_out(account["key"], small_png).ok
    logged = deployment.log.stat().st_size
    with outage(proxy):
        # Once the outage is reported, nothing waits forever.
        started = time.monotonic()
        ready = get(deployment, "/readyz")
        seconds = time.monotonic() - started
        assert (ready.status_code, ready.json()["parts"]["database"]) == (503, False)
        assert seconds < REPORT_SECONDS
        assert get(deployment, "/healthz").ok
        called = deployment.cut_out(account["key"], small_png)
        usage = get(deployment, "/api/membership-usage", headers={"x-api-key": account["key"]})
        for answer in (called, usage):
            assert (answer.status_code, code_of(answer)) == (503, "service_unavailable")
            assert int(answer.headers["Retry-After"]) >= 1
            assert "X-Credits-Charged" not in answer.headers
        page = get(deployment, "/pricing")
        assert (page.status_code, page.headers["Content-Type"][:9]) == (503, "text/html")
        assert "Retry-After" in page.headers
        # For a logged-in visitor the session has to be read first.
        assert get(deployment, "/dashboard", cookies={"sessionid": "a" * 32}).status_code == 503
    wait_until_healed(deployment)
    assert deployment.cut_out(account["key"], small_png).ok
    assert deployment.call("read", email=account["email"])["differences"] == []
    news = deployment.log.read_bytes()[logged:].decode()
    assert "Traceback" not in news
    assert 1 <= news.count("the database does not answer") <= 3


def test_a_restart_of_the_database_costs_no_request(deployment, proxy, account, small_png):
    """Its connections are ended, and it responds again at once: each connection is checked before use."""
    assert all(answer.ok for answer in at_once(POOL, lambda: deployment.cut_out(account["key"], small_png)))
    proxy.cut()
    assert [deployment.cut_out(account["key"], small_png).status_code for _ in range(4)] == [200] * 4


def test_a_database_that_goes_away_before_the_image_is_paid_for(deployment, proxy, account, small_png):
    before = deployment.call("read", email=account["email"])
    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(deployment.cut_out, account["key"], small_png) for _ in range(4)]
        time.sleep(0.2)
        with refusing(proxy):
            answers = [call.result() for call in calls]
    assert {answer.status_code for answer in answers} <= {200, 503}
    delivered = [answer for answer in answers if answer.ok]
    assert all("X-Credits-Charged" not in answer.headers for answer in answers if not answer.ok)
    wait_until_healed(deployment)
    deployment.call("sweep")
    after = deployment.call("read", email=account["email"])
    assert after["differences"] == []
    assert after["states"].get("held", 0) == 0
    assert after["states"]["posted"] - before["states"]["posted"] == len(delivered)


def test_forty_eight_requests_at_once_share_the_pool(deployment, proxy, account, small_png):
    assert deployment.cut_out(account["key"], small_png).ok
    most, done = 0, threading.Event()

    def watch() -> None:
        nonlocal most
        while not done.wait(0.02):
            most = max(most, backends(proxy.url))

    watcher = threading.Thread(target=watch)
    watcher.start()
    answers = at_once(48, lambda: deployment.cut_out(account["key"], small_png))
    answers += at_once(48, lambda: get(deployment, "/readyz"))
    done.set()
    watcher.join()
    assert Counter(answer.status_code for answer in answers) == {200: 96}
    assert 1 <= most <= POOL


@pytest.fixture
def role() -> Iterator[str]:
    """The address of a database whose owner may have eight connections."""
    name, password = f"test_{secrets.token_hex(6)}", secrets.token_hex(8)
    identifier = sql.Identifier(name)
    try:
        server = psycopg.connect(DATABASE_URL, autocommit=True, connect_timeout=3)
    except psycopg.OperationalError as error:
        skip_or_fail(f"PostgreSQL does not answer: {error}")
    with server:
        server.execute(
            sql.SQL("CREATE ROLE {} LOGIN PASSWORD {} CONNECTION LIMIT 8").format(identifier, sql.Literal(password))
        )
        server.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(identifier, identifier))
        try:
            parts = urlsplit(DATABASE_URL)
            yield f"postgres://{name}:{password}@{parts.hostname}:{parts.port or 5432}/{name}"
        finally:
            server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(identifier))
            server.execute(sql.SQL("DROP ROLE {}").format(identifier))


def test_a_server_with_fewer_connections_than_the_pools_ask_for(tmp_path, role, redis_url, small_png):
    running = Deployment(
        tmp_path, DATABASE_URL=role, REDIS_URL=redis_url, WEB_PROCESSES="2", WEB_THREADS="24", RATE_LIMIT_ENABLED="0"
    )
    running.start()
    try:
        account = running.call("open_account", included=1000)
        answers = [answer for _ in range(2) for answer in at_once(40, lambda: running.cut_out(account["key"], small_png))]
        codes = Counter(map(code_of, answers))
        assert set(codes) <= {"ok", "service_unavailable"}, codes
        assert codes["ok"] >= 40
        # One process's idle connections make room for the other's.
        deadline = time.monotonic() + 20
        while Counter(running.cut_out(account["key"], small_png).status_code for _ in range(12)) != {200: 12}:
            assert time.monotonic() < deadline
        assert running.call("read", email=account["email"])["differences"] == []
        assert "Traceback" not in running.log.read_text()
    finally:
        running.stop()
