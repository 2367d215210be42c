"""Jobs on Redis, with workers in threads of the test's process."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from imaging import tasks
from imaging.core.codecs.headers import ImageHeader
from imaging.core.options import CutoutOptions
from imaging.executor import runtime, store
from imaging.executor.jobs import Job
from lib.ops import redis_client
from tests.imaging.executor.fake_broker import WAIT, FakeBroker, HeldModel, left, lose_everything


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One Redis database for all tests that need one: they take turns."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.xdist_group("services"))


@pytest.fixture(autouse=True)
def _redis(settings, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    settings.IMAGING_EXECUTOR = "celery"
    settings.REDIS_URL = redis_url
    settings.IMAGING_QUEUE_SECONDS = WAIT
    monkeypatch.setattr(store, "NOTIFICATION_SECONDS", 0.05)
    for forget in (store.get_redis.cache_clear, runtime.get_gate.cache_clear, redis_client.reset):
        forget()
    lose_everything()
    yield
    assert left() == [], "a job has left something behind"
    store.get_redis().close()
    for forget in (store.get_redis.cache_clear, runtime.get_gate.cache_clear, redis_client.reset):
        forget()


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeBroker]:
    broker = FakeBroker()
    monkeypatch.setattr(tasks.cut_out, "apply_async", broker)
    yield broker
    broker.join()


@pytest.fixture
def held_model(monkeypatch: pytest.MonkeyPatch) -> HeldModel:
    model = HeldModel()
    monkeypatch.setattr(runtime, "_model", model)
    return model


@pytest.fixture
def job(small_png: bytes) -> Job:
    return Job(io.BytesIO(small_png), ImageHeader("PNG", 8, 6, 1), CutoutOptions(format="png"), refine=False)
