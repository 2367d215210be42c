"""The broker in `/readyz` and `/metrics`. Images are served without it."""

import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest
from django.test import Client

from config.celery import app
from lib.ops import broker
from tests.conftest import skip_or_fail
from tests.scratch_databases import BROKER_URL
from tests.server import ROOT

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _fresh_answer() -> Iterator[None]:
    broker.forget()
    yield
    broker.forget()


@pytest.fixture
def queue(settings) -> Iterator[str]:
    """A separate queue on this machine's RabbitMQ."""
    settings.CELERY_BROKER_URL = BROKER_URL
    name = f"test-{secrets.token_hex(6)}"
    settings.QUEUES = {"default": name, "inference": f"{name}-inference", "batch": f"{name}-batch"}
    if not broker.answers():
        skip_or_fail("RabbitMQ does not answer")
    with app.connection_for_write(BROKER_URL) as connection:
        channel = connection.channel()
        channel.queue_declare(queue=name)
        yield name
        channel.queue_delete(queue=name)


def ready() -> tuple[int, dict[str, bool]]:
    response = Client().get("/readyz")
    return response.status_code, response.json()["parts"]


def test_without_a_broker_none_is_reported(quick_model):
    assert "broker" not in ready()[1]
    assert b"rembg_tasks_waiting" not in Client().get("/metrics").content


@pytest.mark.services
def test_a_broker_that_answers(queue, quick_model):
    assert ready() == (200, {"database": True, "model": True, "broker": True})


@pytest.mark.services
def test_tasks_that_wait_are_counted(queue, quick_model):
    with app.connection_for_write(BROKER_URL) as connection:
        producer = connection.Producer()
        for number in range(3):
            producer.publish({"number": number}, routing_key=queue, exchange="")
    assert b'rembg_tasks_waiting{queue="default"} 3.0' in Client().get("/metrics").content


@pytest.mark.services
def test_a_queue_that_does_not_exist_is_empty(queue, quick_model):
    assert broker.find_waiting_tasks() == {"default": 0, "inference": 0, "batch": 0}


def test_deployments_that_share_a_broker_share_no_queue():
    """CELERY_QUEUE, as a fresh process reads it."""
    code = "from config import settings; print(*settings.QUEUES.values())"
    queues = {}
    for name in ("", "first", "second"):
        environment = {**os.environ, "CELERY_QUEUE": name}
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, check=True)
        queues[name] = done.stdout.decode().split()
    assert queues[""] == ["celery", "inference", "batch"]
    assert queues["first"] == ["first", "first-inference", "first-batch"]
    assert not set(queues["first"]) & set(queues["second"])


@pytest.mark.parametrize("address", ["amqp://guest:guest@127.0.0.1:{}//", "redis://127.0.0.1:{}/0"])
def test_an_unreachable_broker_is_reported_and_the_process_stays_ready(settings, quick_model, address):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound, but not listening
        settings.CELERY_BROKER_URL = address.format(closed.getsockname()[1])
        assert ready() == (200, {"database": True, "model": True, "broker": False})
        metrics = Client().get("/metrics").content
    assert b'rembg_part_up{part="broker"} 0.0' in metrics
    assert b"rembg_tasks_waiting" not in metrics
