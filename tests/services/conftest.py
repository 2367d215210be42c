"""Deployments on PostgreSQL and Redis, and on SQLite alone. One worker runs all tests of each."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services.deployment import Deployment

SHARED = ("on_postgres", "on_sqlite")


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.xdist_group(group_of(item)))


def group_of(item: pytest.Item) -> str:
    """The shared deployment that a test uses, or its file: these wait most of the time, and may do so next to others."""
    parameters = getattr(item, "callspec", None)
    asked = {*getattr(item, "fixturenames", ()), parameters and parameters.params.get("deployment")}
    return next((name for name in SHARED if name in asked), item.path.stem)


@pytest.fixture(scope="session")
def on_postgres(tmp_path_factory: pytest.TempPathFactory, postgres_url: str, redis_url: str) -> Iterator[Deployment]:
    """Two web processes on PostgreSQL and Redis."""
    folder = tmp_path_factory.mktemp("postgres")
    running = Deployment(folder, DATABASE_URL=postgres_url, REDIS_URL=redis_url, WEB_PROCESSES="2")
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="session")
def on_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """One web process on SQLite, nothing else: what `make run` starts."""
    running = Deployment(tmp_path_factory.mktemp("sqlite"), RATE_LIMIT_ENABLED="0")
    running.start()
    yield running
    running.stop()


@pytest.fixture(params=["on_postgres", "on_sqlite"])
def deployment(request: pytest.FixtureRequest) -> Deployment:
    """Either deployment."""
    return request.getfixturevalue(request.param)
