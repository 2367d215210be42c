"""What an operator starts from the `Procfile`, on PostgreSQL, Redis and RabbitMQ: images and mails go through workers."""

import json
import os
import re
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from kombu.exceptions import OperationalError

from config.celery import app
from tests.conftest import skip_or_fail
from tests.hosts import Host, answer
from tests.imaging.batches.forms import batch_form
from tests.imaging.removal.forms import form
from tests.scratch_databases import BROKER_URL, scratch_postgres
from tests.server import ROOT, free_port
from tests.services.traces import Collector

pytestmark = pytest.mark.services

START_SECONDS, MAIL_SECONDS, TRACE_SECONDS, BATCH_SECONDS, STOP_SECONDS = 60, 20, 20, 60, 30
LAST_WORDS = "worker: Warm shutdown (MainProcess)"
ALARMS = ("ERROR", "CRITICAL")
PROCESSES = ("web", "worker", "inference", "batch", "beat")
WORKERS = ("worker", "inference", "batch")


def commands() -> dict[str, str]:
    """The lines of the Procfile by name."""
    lines = (ROOT / "Procfile").read_text().splitlines()
    return dict(re.fullmatch(r"([a-z-]+): (.+)", line).groups() for line in lines)  # type: ignore[union-attr]


class Formation:
    """All processes of the Procfile, as foreman or honcho start them: each by a shell, in its own process group."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        kept = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        self.environment = {**kept, "PATH": path, "PORT": str(self.port), "VAR_DIR": str(folder), **environment}

    def start(self) -> None:
        subprocess.run(["sh", "-c", commands()["release"]], cwd=ROOT, env=self.environment, check=True, timeout=120)
        for name in PROCESSES:
            with (self.folder / f"{name}.log").open("ab") as log:
                self.running[name] = subprocess.Popen(
                    ["sh", "-c", commands()[name]], cwd=ROOT, env=self.environment, stdout=log, stderr=log,
                    start_new_session=True,
                )  # fmt: skip
        self.wait_for(self.is_ready, START_SECONDS)

    def is_ready(self) -> bool:
        try:
            reported = requests.get(f"{self.url}/readyz", timeout=5).json()
        except requests.RequestException:
            return False
        return reported["status"] == "ready" and all(reported["parts"].values())

    def wait_for(self, happened, seconds: float) -> None:
        """Wait until it is true; every process must stay alive."""
        deadline = time.monotonic() + seconds
        while not happened():
            ended = [name for name, process in self.running.items() if process.poll() is not None]
            assert not ended, self.logs()
            assert time.monotonic() < deadline, self.logs()
            time.sleep(0.1)

    def logs(self) -> str:
        return "\n".join(f"--- {path.name}\n{path.read_text()[-3000:]}" for path in sorted(self.folder.glob("*.log")))

    def log_lines(self, name: str) -> list[dict]:
        """A process's log so far; every line is JSON, except for Celery's last words."""
        whole, _, _ = (self.folder / f"{name}.log").read_text().rpartition("\n")
        return [json.loads(line) for line in whole.splitlines() if line and line != LAST_WORDS]

    def manage(self, *arguments: str) -> str:
        command = [sys.executable, "manage.py", *arguments]
        return subprocess.run(
            command, cwd=ROOT, env=self.environment, check=True, capture_output=True, text=True, timeout=60
        ).stdout.strip()

    def stop(self) -> dict[str, int]:
        """Stop all as a supervisor would; return their exit statuses."""
        for process in self.running.values():
            os.kill(process.pid, signal.SIGTERM)
        return {name: process.wait(STOP_SECONDS) for name, process in self.running.items()}

    def kill(self) -> None:
        """Kill any that remain."""
        for process in self.running.values():
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    running = Collector()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def receiver() -> Iterator[Host]:
    """A customer's server."""
    running = Host(lambda path: [answer()])
    yield running
    running.stop()


@pytest.fixture(scope="module")
def own_postgres_url(postgres_url: str) -> Iterator[str]:
    """A database that no other test's server uses: one without a broker would try this one's callbacks."""
    with scratch_postgres() as url:
        yield url


@pytest.fixture(scope="module")
def formation(
    tmp_path_factory: pytest.TempPathFactory, own_postgres_url: str, redis_url: str, collector: Collector, receiver: Host
) -> Iterator[Formation]:
    folder = tmp_path_factory.mktemp("procfile")
    queue = f"test-{secrets.token_hex(6)}"
    broker = app.connection_for_write(BROKER_URL, connect_timeout=3)
    try:
        broker.ensure_connection(max_retries=1)
    except OperationalError as error:
        skip_or_fail(f"RabbitMQ does not answer: {error}")
    running = Formation(
        folder, DATABASE_URL=own_postgres_url, REDIS_URL=redis_url, CELERY_BROKER_URL=BROKER_URL, CELERY_QUEUE=queue,
        EMAIL_URL=f"filemail:///{folder}/mails", WORKER_PROCESSES="1", IMAGING_THREADS="1",
        IMAGING_EXECUTOR="celery", OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, OTEL_BSP_SCHEDULE_DELAY="200",
        TRACE_NETWORKS="127.0.0.0/8",
        OUTBOUND_ALLOWED_NETWORKS="127.0.0.0/8", CALLBACK_PORTS=str(receiver.port),
        PYTHONWARNINGS="ignore",  # Celery's, about workers running as root
    )  # fmt: skip
    try:
        running.start()
        yield running
    finally:
        running.kill()
        with broker:
            channel = broker.channel()
            for name in (queue, f"{queue}-inference", f"{queue}-batch"):
                channel.queue_delete(queue=name)


def test_an_image_goes_through(formation, photo):
    key = formation.manage("issue_key", "procfile@example.com")
    body = form(photo)
    headers = {"x-api-key": key, "Content-Type": body["content_type"], "X-Request-Id": "image-of-the-test"}
    answer = requests.post(f"{formation.url}/rmbg", body["data"], headers=headers, timeout=60)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "image/webp")
    assert answer.headers["X-Credits-Charged"] == "1"

    def logged() -> bool:
        lines = formation.log_lines("inference")
        return any("succeeded" in line["message"] and line["request_id"] == "image-of-the-test" for line in lines)

    formation.wait_for(logged, MAIL_SECONDS)


def test_only_the_workers_for_images_load_the_model(formation):
    """The one for `inference` loads it before its first image; the one for batches with its first."""
    with_model = [
        name for name in PROCESSES if any("serving u2net" in line["message"] for line in formation.log_lines(name))
    ]
    assert with_model == ["inference"]


def test_the_worker_sends_the_mail_of_a_request_and_logs_the_id_of_that_request(formation):
    session = requests.Session()
    page = session.get(f"{formation.url}/accounts/signup/", timeout=10).text
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page).group(1)  # type: ignore[union-attr]
    fields = {"email": "new@example.com", "password1": "correct horse battery", "csrfmiddlewaretoken": token}
    answer = session.post(
        f"{formation.url}/accounts/signup/", fields, headers={"X-Request-Id": "sign-up-of-the-test"}, timeout=10
    )
    assert answer.ok

    def sent() -> bool:
        return any("new@example.com" in mail.read_text() for mail in (formation.folder / "mails").glob("*"))

    formation.wait_for(sent, MAIL_SECONDS)

    def logged() -> bool:
        lines = formation.log_lines("worker")
        return any("succeeded" in line["message"] and line["request_id"] == "sign-up-of-the-test" for line in lines)

    formation.wait_for(logged, MAIL_SECONDS)


def test_a_batch_goes_through_the_workers_and_its_callback_is_sent(formation, receiver, photo):
    key = formation.manage("issue_key", "batch@example.com")
    body = batch_form(("a.jpg", photo), ("bad.jpg", b"not an image"), callback_url=f"http://127.0.0.1:{receiver.port}/hook")
    headers = {"x-api-key": key, "Content-Type": body["content_type"]}
    made = requests.post(f"{formation.url}/api/batches", body["data"], headers=headers, timeout=60)
    assert made.status_code == 202
    reported: dict = {}

    def has_reported() -> bool:
        reported.update(requests.get(made.headers["Location"], headers={"x-api-key": key}, timeout=10).json())
        return reported["status"] == "finished" and reported["callback"]["state"] == "delivered"

    formation.wait_for(has_reported, BATCH_SECONDS)
    assert (reported["counts"]["done"], reported["counts"]["failed"], reported["credits"]["charged"]) == (1, 1, 1)
    assert [json.loads(each)["data"]["id"] for each in receiver.bodies] == [reported["id"]]


def test_an_image_s_trace_goes_through_web_and_worker_and_holds_no_secret(formation, collector, photo):
    key = formation.manage("issue_key", "traced@example.com")
    body = form(photo)
    trace = secrets.token_hex(16)
    headers = {
        "x-api-key": key, "Content-Type": body["content_type"], "X-Request-Id": "request-of-the-trace",
        "traceparent": f"00-{trace}-{secrets.token_hex(8)}-01",
    }  # fmt: skip
    address = f"{formation.url}/rmbg?api_key=careless"
    assert requests.post(address, body["data"], headers=headers, timeout=60).status_code == 200

    def names() -> set[str]:
        return {span.name for span in collector.of_trace(trace)}

    steps = {"queue", "decode", "inference", "compose", "encode"}
    expected = steps | {"POST /rmbg", "apply_async/imaging.tasks.cut_out", "run/imaging.tasks.cut_out"}
    formation.wait_for(lambda: expected <= names(), TRACE_SECONDS)
    by_name = {span.name: span for span in collector.of_trace(trace)}
    request, task = by_name["POST /rmbg"], by_name["run/imaging.tasks.cut_out"]
    assert request.attributes["http.response.status_code"] == "200"
    assert {span.attributes["rembg.request_id"] for span in (request, task)} == {"request-of-the-trace"}
    assert {by_name[name].parent for name in steps} == {request.id}
    assert all(request.start <= by_name[name].start <= by_name[name].end <= request.end for name in steps)
    reported = json.dumps([[span.name, span.attributes] for span in collector.spans])
    for secret in (key, "careless", "photo.", "traced@example.com"):
        assert secret not in reported, secret


def test_all_processes_end_cleanly_on_a_signal_and_have_logged_only_json(formation):
    assert formation.stop() == dict.fromkeys(PROCESSES, 0)
    for name in PROCESSES:
        formation.log_lines(name)
    assert not [line for name in (*WORKERS, "beat") for line in formation.log_lines(name) if line["level"] in ALARMS]
