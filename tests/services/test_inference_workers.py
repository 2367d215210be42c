"""Workers and the broker lost in a stream of images: every caller is answered in time, and charged for images alone.

`tests/bench/soak_workers.py` is a longer run of the same.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from kombu.exceptions import OperationalError

from config.celery import app
from tests.conftest import skip_or_fail
from tests.scratch_databases import BROKER_URL, scratch_redis
from tests.services.inference import Load, WorkerDeployment, assert_answered_and_charged, inject_faults_under_load

pytestmark = pytest.mark.services

DEADLINE = 20
# A restored broker is found again within 30 s at most; the first tries come sooner.
RECOVERY_SECONDS = 60


@pytest.fixture(scope="module")
def rabbitmq() -> str:
    try:
        with app.connection_for_write(BROKER_URL, connect_timeout=3) as connection:
            connection.ensure_connection(max_retries=1)
    except OperationalError as error:
        skip_or_fail(f"RabbitMQ does not answer: {error}")
    return BROKER_URL


@pytest.fixture(scope="module")
def redis_broker(redis_url: str) -> Iterator[str]:
    try:
        with scratch_redis() as url:
            yield url
    except redis.RedisError as error:
        skip_or_fail(f"Redis does not answer: {error}")


def start_deployment(folder: Path, broker: str, postgres_url: str, redis_url: str) -> Iterator[WorkerDeployment]:
    """One web process and two workers."""
    deployment = WorkerDeployment(
        folder, broker=broker, DATABASE_URL=postgres_url, REDIS_URL=redis_url, IMAGING_QUEUE_SECONDS=str(DEADLINE)
    )
    try:
        deployment.start()
        deployment.start_worker("one")
        deployment.start_worker("two")
        yield deployment
    finally:
        deployment.stop()


@pytest.fixture(scope="module")
def deployment(tmp_path_factory, rabbitmq: str, postgres_url: str, redis_url: str) -> Iterator[WorkerDeployment]:
    yield from start_deployment(tmp_path_factory.mktemp("workers"), rabbitmq, postgres_url, redis_url)


def test_killed_workers_and_cut_connections_lose_nothing(deployment, small_png):
    load = inject_faults_under_load(deployment, small_png, times=2, seed=1)
    assert_answered_and_charged(load, DEADLINE + 2)


def test_workers_come_back_after_a_broker_that_was_away(deployment, small_png):
    with Load(deployment, small_png) as load:
        load.wait_for(2)
        deployment.proxy.go_down()
        for worker in deployment.inference_workers.values():
            worker.wait_for_log("Cannot connect to")
        deployment.proxy.come_back()
        load.wait_for(10, RECOVERY_SECONDS)
    assert_answered_and_charged(load, DEADLINE + 2)


def test_a_stopping_worker_finishes_its_image_and_loses_none(deployment, small_png):
    with Load(deployment, small_png) as load:
        load.wait_for(4)
        assert deployment.inference_workers["one"].stop() == 0
        load.wait_for(8)
        deployment.start_worker("one")
        assert deployment.inference_workers["two"].stop() == 0
        load.wait_for(8)
    deployment.start_worker("two")
    assert set(load.outcomes) == {"ok"}, load.outcomes
    assert_answered_and_charged(load, DEADLINE)


def test_a_worker_of_threads_as_for_a_gpu_comes_back_as_well(deployment, small_png):
    for worker in deployment.inference_workers.values():
        worker.stop()
    deployment.inference_workers.clear()
    deployment.start_worker("threads", pool="threads", concurrency=4)
    with Load(deployment, small_png) as load:
        load.wait_for(6)
        deployment.proxy.cut()
        load.wait_for(10, DEADLINE)
    assert_answered_and_charged(load, DEADLINE + 2)
    assert "different Context" not in deployment.inference_workers["threads"].log.read_text()


def test_a_broker_on_redis_does_as_well(tmp_path, redis_broker, postgres_url, redis_url, small_png):
    for deployment in start_deployment(tmp_path, redis_broker, postgres_url, redis_url):
        load = inject_faults_under_load(deployment, small_png, times=1, seed=2)
        assert_answered_and_charged(load, DEADLINE + 2)
