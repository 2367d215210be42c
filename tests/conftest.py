"""What all tests share: the running product, accounts with keys, images, a quick stand-in for the model."""

import io
import os
import signal
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NoReturn

import psycopg
import pytest
import redis
from django.core.cache import cache
from django.test import Client
from PIL import Image, ImageDraw

import tests.examples  # loads the profile of hypothesis
import tests.server
from accounts import failed_calls
from accounts.models import ApiKey, User
from billing.credits import ledger, prices
from billing.dashboard import request_log
from billing.dashboard.request_log import RequestLog
from billing.models import Plan
from imaging.core.matting.matte import Prediction
from imaging.executor import runtime
from lib.outbound import addresses as public_addresses
from lib.web import rate_limits
from tests.hosts import Host, Names
from tests.quick_django import hasten_rollback, share_static_files
from tests.scratch_databases import scratch_postgres, scratch_redis
from tests.server import ProductServer

# Playwright keeps an event loop running in the tests' thread; Django would take every later test for asynchronous.
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")

# A shell starts background jobs with SIGINT ignored, and programs that tests start and interrupt would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

share_static_files()

REQUIRE_SERVICES = os.environ.get("REQUIRE_SERVICES") == "1"


def skip_or_fail(reason: str) -> NoReturn:
    """Skip a test that needs something this machine lacks; fail where everything must be available."""
    if REQUIRE_SERVICES:
        pytest.fail(f"REQUIRE_SERVICES=1, but {reason}")
    pytest.skip(reason)


# The groups that take longest, first: what begins last should be short, so that all workers end at the same time.
LONGEST_FIRST = (
    "test_slow_clients", "test_inference_workers", "test_every_page", "on_postgres", "test_database_outage", "test_procfile",
    "test_fair_gate", "test_caddy", "python_client", "test_time_limit", "test_batches", "test_support_desk", "server",
    "test_editor", "test_reference", "test_accounts_journey", "on_sqlite", "small_server", "test_restarts", "int8", "matte",
)  # fmt: skip


@pytest.hookimpl(wrapper=True, tryfirst=True)  # before xdist reads the groups, and after pytest-django has sorted
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Generator[None, None, None]:
    """Tests of the running product and of the browser stay together by file, so that a file's setup runs once."""
    if os.environ.get("DATABASE_URL", "").startswith("postgres"):
        # `make test-postgres`: what uses the test database. The rest has already run, or brings its own database.
        items[:] = [item for item in items if uses_database(item)]
    for item in items:
        together = "server" in getattr(item, "fixturenames", ()) or "browser" in item.path.parts
        if together and item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.path.stem))
    yield
    if hasattr(config, "workerinput"):
        items.sort(key=rank)


def rank(item: pytest.Item) -> int:
    """When a test's turn comes, among several workers: long groups, groups, everything else."""
    groups = [str(mark.args[0]) for mark in item.iter_markers("xdist_group")]
    ranks = [LONGEST_FIRST.index(group) for group in groups if group in LONGEST_FIRST]
    return min(ranks, default=len(LONGEST_FIRST) + (not groups))


def pytest_make_parametrize_id(val: object) -> str | None:
    """A short name where pytest would make one of all bytes of a file: each worker sends them to the others."""
    return f"{len(val)} {type(val).__name__}" if isinstance(val, bytes | str) and len(val) > 200 else None


OWN_DATABASE = {"server", "postgres_url"}


def uses_database(item: pytest.Item) -> bool:
    """Whether a test runs in this process and queries the test database."""
    fixtures = set(getattr(item, "fixturenames", ()))
    asks = item.get_closest_marker("django_db") is not None or bool({"db", "transactional_db"} & fixtures)
    return asks and not OWN_DATABASE & fixtures


def run_folder(factory: pytest.TempPathFactory) -> Path:
    """The temporary folder that all workers of a run share."""
    own = factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


class EllipseMatte:
    """A model with one fixed answer: an ellipse in the middle is the subject."""

    name = "ellipse"

    def predict(self, image: Image.Image) -> Prediction:
        matte = Image.new("L", image.size)
        ImageDraw.Draw(matte).ellipse((0, 0, image.width - 1, image.height - 1), fill=255)
        return Prediction(matte, self.name, 1.0)


@pytest.fixture(scope="session", autouse=True)
def _shared_by_all_workers(tmp_path_factory: pytest.TempPathFactory) -> None:
    tests.server.RUN_FOLDER = run_folder(tmp_path_factory)


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None) -> None:
    """The test database, quickly restored."""
    hasten_rollback()


@pytest.fixture(autouse=True)
def _fresh_limits() -> Iterator[None]:
    """No test sees the requests counted by another."""
    rate_limits.reset()
    failed_calls.forget()
    cache.clear()
    yield
    rate_limits.reset()
    failed_calls.forget()


@pytest.fixture(autouse=True)
def _fresh_request_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor its request records. No thread writes them here: a test that needs them calls `flush`."""
    monkeypatch.setattr(request_log, "log", RequestLog())


@pytest.fixture(autouse=True)
def _quick_passwords(settings) -> None:
    """Hashing passwords as slowly as production does would take most of the suite's time."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(autouse=True)
def fresh_prices() -> None:
    """Each test has its own table of prices."""
    prices.table.forget()


@pytest.fixture
def quick_model(monkeypatch: pytest.MonkeyPatch) -> EllipseMatte:
    """In place of the real model, where the matte does not matter."""
    model = EllipseMatte()
    monkeypatch.setattr(runtime, "_model", model)
    return model


@pytest.fixture
def user(db: None) -> User:
    """A verified customer on the free plan."""
    user = User.objects.create_user("customer@example.com", "correct horse battery staple")
    user.verify_email()
    ledger.get_account(user)
    return user


@pytest.fixture
def key(user: User) -> str:
    """The text of a live key of `user`."""
    return ApiKey.objects.issue(user, name="test")[1].text


@pytest.fixture
def outsider(db: None) -> Client:
    """The browser of another customer."""
    other = User.objects.create_user("other@example.com", "correct horse battery staple")
    other.verify_email()
    browser = Client()
    browser.force_login(other)
    return browser


@pytest.fixture
def premium(user: User) -> User:
    """`user` on the largest plan."""
    ledger.change_plan(ledger.get_account(user), Plan.objects.get(label="Premium-20000"))
    return user


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProductServer]:
    """The product, running with the real model and its own database; limits and log-in providers on.

    The model works on each image once in a run, for all workers: see `tests.remembering_wsgi`.
    """
    folder, mattes = tmp_path_factory.mktemp("server"), run_folder(tmp_path_factory) / "mattes"
    mattes.mkdir(exist_ok=True)
    environment = {"REMEMBERED_MATTES": str(mattes), **tests.server.PROVIDERS}
    running = ProductServer(folder, environment, application="tests.remembering_wsgi:application").start()
    yield running
    running.stop()


@pytest.fixture(scope="session")
def server_key(server: ProductServer) -> str:
    """A key of a large account on the running product."""
    return server.issue_key("server@example.com")


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A fresh, empty PostgreSQL database, dropped afterwards."""
    with ExitStack() as stack:
        try:
            url = stack.enter_context(scratch_postgres())
        except psycopg.OperationalError as error:
            skip_or_fail(f"PostgreSQL does not answer: {error}")
        yield url


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """A Redis database for the tests, empty before and after."""
    with ExitStack() as stack:
        try:
            url = stack.enter_context(scratch_redis())
        except redis.RedisError as error:
            skip_or_fail(f"Redis does not answer: {error}")
        yield url


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    """Host names and their addresses, in place of the system's resolver."""
    names = Names()
    monkeypatch.setattr(public_addresses, "look_up", names.look_up)
    return names


@pytest.fixture
def hosts() -> Iterator[Callable[..., Host]]:
    """Makes web servers on loopback addresses."""
    made: list[Host] = []

    def make(*arguments: Any, **options: Any) -> Host:
        made.append(Host(*arguments, **options))
        return made[-1]

    yield make
    for host in made:
        host.stop()


@pytest.fixture(scope="session")
def photo() -> bytes:
    """A photograph of a person, as JPEG."""
    return (Path(__file__).parent.parent / "imaging/static/imaging/samples/astronaut.jpg").read_bytes()


def encoded(image: Image.Image, format: str = "PNG", **options: object) -> bytes:
    """The bytes of an image."""
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


@pytest.fixture
def small_png() -> bytes:
    """A small image that is quick to process."""
    return encoded(Image.new("RGB", (8, 6), "orange"))
