"""Restarts in a stream of requests: what was accepted is answered, what was charged was delivered."""

import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
import urllib3

from tests.services.deployment import Deployment

pytestmark = pytest.mark.services

SENDERS, INCLUDED = 6, 5_000
# Long enough for every sender to have an image in progress when the signal arrives.
MODEL_SECONDS = 0.4
DRAIN_SECONDS = 30


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory, postgres_url: str, redis_url: str) -> Iterator[Deployment]:
    """Two web processes whose model takes its time; the last test stops them."""
    folder = tmp_path_factory.mktemp("restarts")
    running = Deployment(
        folder, model_seconds=MODEL_SECONDS, DATABASE_URL=postgres_url, REDIS_URL=redis_url, WEB_PROCESSES="2"
    )
    running.start()
    yield running
    running.stop()


class Stream:
    """Customers who send one image after another, and the outcome of each."""

    def __init__(self, deployment: Deployment, image: bytes) -> None:
        self.deployment, self.image = deployment, image
        self.account = deployment.call("open_account", included=INCLUDED)
        self.outcomes: Counter[str] = Counter()
        self.ended = threading.Event()

    def __enter__(self) -> "Stream":
        self.pool = ThreadPoolExecutor(SENDERS)
        self.senders = [self.pool.submit(self._send) for _ in range(SENDERS)]
        return self

    def __exit__(self, *error: object) -> None:
        self.ended.set()
        self.pool.shutdown()
        for sender in self.senders:
            sender.result()

    def _send(self) -> None:
        while not self.ended.is_set():
            self.outcomes[self._outcome()] += 1

    def _outcome(self) -> str:
        try:
            answer = self.deployment.cut_out(self.account["key"], self.image)
        except requests.ConnectionError as error:
            time.sleep(0.05)
            return "refused" if was_refused(error) else repr(error)
        return "delivered" if answer.ok else answer.text

    def wait_for(self, delivered: int) -> None:
        deadline = time.monotonic() + DRAIN_SECONDS
        while self.outcomes["delivered"] < delivered:
            assert time.monotonic() < deadline, self.outcomes
            time.sleep(0.02)


def was_refused(error: requests.ConnectionError) -> bool:
    """Whether no one listened: nothing was sent then, and a proxy tries the next server."""
    reason = getattr(error.args[0], "reason", None)
    return isinstance(reason, urllib3.exceptions.NewConnectionError)


def test_new_web_processes_take_over_and_no_caller_notices(deployment, small_png):
    """SIGHUP: the server keeps accepting while old processes finish and new ones start."""
    with Stream(deployment, small_png) as stream:
        stream.wait_for(SENDERS)
        old = set(deployment.workers())
        deployment.process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + DRAIN_SECONDS
        while old & set(deployment.workers()):
            assert time.monotonic() < deadline, "the old processes still run"
            time.sleep(0.1)
        stream.wait_for(stream.outcomes["delivered"] + SENDERS)
    assert set(stream.outcomes) == {"delivered"}, stream.outcomes
    assert_charged_for_what_was_delivered(deployment, stream)


def test_a_stopping_server_answers_what_it_has_accepted(deployment, small_png):
    """SIGTERM: later callers are refused at connection time, where a proxy can send them elsewhere."""
    with Stream(deployment, small_png) as stream:
        stream.wait_for(2 * SENDERS)
        deployment.process.send_signal(signal.SIGTERM)
        assert deployment.process.wait(DRAIN_SECONDS) == 0
    assert set(stream.outcomes) <= {"delivered", "refused"}, stream.outcomes
    assert stream.outcomes["refused"]
    assert_charged_for_what_was_delivered(deployment, stream)


def assert_charged_for_what_was_delivered(deployment: Deployment, stream: Stream) -> None:
    figures = deployment.call("read", email=stream.account["email"])
    assert figures["states"] == {"posted": stream.outcomes["delivered"]}
    assert figures["differences"] == figures["reconciled"] == []
