"""A deployment whose images are processed by Celery workers with a sleeping model, and the faults that tests inject."""

import os
import random
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
from kombu.connection import Connection

from tests.server import READY_SECONDS, ROOT, STOP_SECONDS, ProductServer
from tests.services.broker_proxy import BrokerProxy
from tests.services.deployment import Deployment, code_of

WEB_SLOTS = 64


@dataclass
class Worker:
    """`celery worker` on the queue `inference`, as the Procfile starts it."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    seen: int = 0

    def wait_for_log(self, text: str) -> None:
        """Wait until it logs `text` after what was already seen."""
        deadline = time.monotonic() + READY_SECONDS
        while text not in (logged := self.log.read_text()[self.seen :]):
            assert self.process.poll() is None, logged
            assert time.monotonic() < deadline, logged
            time.sleep(0.02)
        self.seen += len(logged)

    def children(self) -> list[int]:
        """The processes of its pool."""
        found = subprocess.run(["pgrep", "-P", str(self.process.pid)], capture_output=True, text=True, timeout=10)
        return [int(pid) for pid in found.stdout.split()]

    def kill(self) -> None:
        """`kill -9`; the kernel kills its children too."""
        self.process.kill()
        self.process.wait(STOP_SECONDS)

    def stop(self) -> int:
        """Send SIGTERM, as a supervisor does; return its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_SECONDS)


class WorkerDeployment(Deployment):
    """One web process, a broker behind a proxy that can be cut, and workers."""

    def __init__(
        self,
        folder: Path,
        *,
        broker: str,
        model_seconds: float = 0.1,
        workers_application: str = "tests.services.fake_model_worker",
        application: str = "",
        **environment: str,
    ) -> None:
        """The arguments `…application` name what Celery and the web server load: by default, applications that sleep."""
        self.workers_application = workers_application
        self.proxy = BrokerProxy(broker)
        self.broker = broker
        self.queue = f"test-{secrets.token_hex(6)}"
        self.inference_workers: dict[str, Worker] = {}
        own = {
            "IMAGING_EXECUTOR": "celery", "CELERY_BROKER_URL": self.proxy.url, "CELERY_QUEUE": self.queue,
            "IMAGING_SLOTS": "1", "IMAGING_QUEUE_SIZE": str(WEB_SLOTS), "WEB_THREADS": "32", "RATE_LIMIT_ENABLED": "0",
        }  # fmt: skip
        super().__init__(folder, model_seconds=model_seconds, **{**own, **environment})
        self.application = application or self.application

    def wait_until_ready(self) -> None:
        """As a Deployment does; without the stand-in model, which reports its start, as any server does."""
        if self.application == "config.wsgi:application":
            ProductServer.wait_until_ready(self)
        else:
            super().wait_until_ready()

    def start_worker(self, name: str, *, concurrency: int = 1, pool: str = "prefork", wait: bool = True) -> Worker:
        """Start a worker; with `wait`, return once it is ready for images."""
        log = self.folder / f"{name}.log"
        seen = log.stat().st_size if log.exists() else 0
        command = [
            sys.executable, "-m", "celery", "--quiet", "-A", self.workers_application, "worker",
            "--loglevel", "INFO", "--queues", f"{self.queue}-inference", "--hostname", f"{name}@%h", "--pool", pool,
            "--concurrency", str(concurrency), "--without-gossip", "--without-mingle",
        ]  # fmt: skip
        with log.open("ab") as out:
            environment = {**self._env(), "LOG_LEVEL": "INFO", "PYTHONWARNINGS": "ignore"}
            process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=out, stderr=out)
        self.inference_workers[name] = worker = Worker(name, process, log, seen)
        if wait:
            worker.wait_for_log(" ready.")
        return worker

    def replace(self, name: str) -> Worker:
        """Replace a worker that is gone, like a supervisor."""
        return self.start_worker(name, wait=False)

    def stop(self) -> None:
        """Stop everything, and leave no queue behind."""
        for worker in self.inference_workers.values():
            if worker.process.poll() is None:
                worker.kill()
        super().stop()
        self.proxy.close()
        with Connection(self.broker) as connection:
            channel = connection.channel()
            for queue in (self.queue, f"{self.queue}-inference", f"{self.queue}-batch"):
                channel.queue_delete(queue=queue)

    def logs(self) -> str:
        """The end of every log."""
        return "\n".join(f"--- {path.name}\n{path.read_text()[-3000:]}" for path in sorted(self.folder.glob("*.log")))


@dataclass
class Load:
    """Customers who send one image after another, and the outcome of each."""

    deployment: WorkerDeployment
    image: bytes
    senders: int = 6
    outcomes: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)

    def __enter__(self) -> "Load":
        self.account = self.deployment.call("open_account", included=100_000)
        self.ended = threading.Event()
        self.pool = ThreadPoolExecutor(self.senders)
        self.streams = [self.pool.submit(self._send) for _ in range(self.senders)]
        return self

    def __exit__(self, *error: object) -> None:
        self.ended.set()
        self.pool.shutdown()
        for stream in self.streams:
            stream.result()

    def _send(self) -> None:
        while not self.ended.is_set():
            started = time.monotonic()
            try:
                outcome = code_of(self.deployment.cut_out(self.account["key"], self.image))
            except requests.RequestException as error:
                outcome = type(error).__name__
            self.seconds.append(time.monotonic() - started)
            self.outcomes[outcome] += 1
            if outcome != "ok":
                time.sleep(0.05)

    def wait_for(self, more: int, seconds: float = READY_SECONDS) -> float:
        """Wait until `more` images have come back from now on; return the seconds that took."""
        started, goal = time.monotonic(), self.outcomes["ok"] + more
        while self.outcomes["ok"] < goal:
            assert time.monotonic() - started < seconds, f"{self.outcomes}\n{self.deployment.logs()}"
            time.sleep(0.01)
        return time.monotonic() - started

    def figures(self) -> dict[str, Any]:
        """The account's figures."""
        return self.deployment.call("read", email=self.account["email"])


class FaultInjector:
    """Everyday faults, at random moments determined by a seed."""

    def __init__(self, deployment: WorkerDeployment, seed: int) -> None:
        self.deployment = deployment
        self.random = random.Random(seed)  # noqa: S311 - no secret

    def pause(self, least: float, most: float) -> None:
        time.sleep(self.random.uniform(least, most))

    def kill_child(self) -> None:
        """`kill -9` of the process that works on an image."""
        children = [pid for worker in self.deployment.inference_workers.values() for pid in worker.children()]
        if children:
            os.kill(self.random.choice(children), signal.SIGKILL)

    def kill_worker(self) -> None:
        """`kill -9` of a whole worker; a supervisor starts another one."""
        name = self.random.choice(sorted(self.deployment.inference_workers))
        self.deployment.inference_workers[name].kill()
        self.deployment.replace(name)

    def cut_broker(self) -> None:
        """Every connection to the broker ends."""
        self.deployment.proxy.cut()


FAULTS = ("kill_child", "kill_worker", "cut_broker")


def inject_faults_under_load(
    deployment: WorkerDeployment, image: bytes, *, times: int, seed: int, pauses: tuple[float, float] = (0.2, 0.8)
) -> Load:
    """Inject `times` of each of FAULTS, in random order at random moments, while customers send; then all recover."""
    injector = FaultInjector(deployment, seed)
    faults = [*FAULTS] * times
    injector.random.shuffle(faults)
    with Load(deployment, image) as load:
        load.wait_for(2)
        for name in faults:
            injector.pause(*pauses)
            getattr(injector, name)()
        load.wait_for(10)
    return load


def assert_answered_and_charged(load: Load, seconds: float) -> None:
    """All were answered within the deadline, and charged for images alone."""
    assert set(load.outcomes) <= {"ok", "server_busy"}, f"{load.outcomes}\n{load.deployment.logs()}"
    assert max(load.seconds) < seconds, load.deployment.logs()
    figures = load.figures()
    assert figures["states"].get("posted", 0) == load.outcomes["ok"]
    assert figures["states"].get("voided", 0) == load.outcomes["server_busy"]
    assert figures["states"].get("held", 0) == 0
    assert figures["differences"] == figures["reconciled"] == []
