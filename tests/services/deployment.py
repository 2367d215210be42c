"""A running deployment whose model is a quick stand-in, and the operations that tests perform on it."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar, cast

import redis
import requests

from tests.imaging.removal.forms import form
from tests.server import READY_SECONDS, STOP_SECONDS, ProductServer

Answer = TypeVar("Answer")


class Deployment(ProductServer):
    """The product on a given database and Redis; every request counts, none is limited by the gate."""

    def __init__(self, folder: Path, *, model_seconds: float = 0.05, **environment: str) -> None:
        self.audit_process: subprocess.Popen[str] | None = None
        self.model_log = folder / "model.log"
        self.model_log.touch()
        own = {
            "FAKE_MODEL_SECONDS": str(model_seconds), "FAKE_MODEL_LOG": str(self.model_log), "IMAGING_SLOTS": "64",
            "IMAGING_QUEUE_SIZE": "64", "WEB_THREADS": "16", "EMAIL_URL": "dummymail://", "LOG_LEVEL": "WARNING",
            "BATCH_LEASE_SECONDS": "2",
        }  # fmt: skip
        super().__init__(folder, {**own, **environment}, application="tests.services.fake_model_wsgi:application")

    def wait_until_ready(self) -> None:
        """Return once every web process is up, not just the first."""
        deadline = time.monotonic() + READY_SECONDS
        while not set(self.workers()) <= {pid for _, pid, _ in self.events("=")} or not self.workers():
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)
        super().wait_until_ready()

    def call(self, name: str, **arguments: object) -> Any:
        """Call a function of `tests.services.ledger_audit` in a second process of the deployment, which waits for more."""
        if self.audit_process is None:
            command = [sys.executable, "-m", "tests.services.ledger_audit"]
            self.audit_process = subprocess.Popen(
                command,
                cwd=self.root,
                env={**self._env(), "PGAPPNAME": "ledger-audit"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        assert self.audit_process.stdin is not None
        assert self.audit_process.stdout is not None
        self.audit_process.stdin.write(json.dumps([name, arguments]) + "\n")
        self.audit_process.stdin.flush()
        return json.loads(self.audit_process.stdout.readline())

    def stop(self) -> None:
        """Stop all of it."""
        if self.audit_process is not None:
            self.audit_process.communicate(timeout=STOP_SECONDS)
        super().stop()

    def cut_out(self, key: str, image: bytes, **headers: str) -> requests.Response:
        """POST one image."""
        body = form(image)
        headers = {"x-api-key": key, "Content-Type": body["content_type"], **headers}
        return requests.post(f"{self.url}/rmbg", body["data"], headers=headers, timeout=60)

    def usage(self, key: str) -> dict[str, Any]:
        """GET /api/membership-usage with everything expanded."""
        address = f"{self.url}/api/membership-usage?expand=billing_cycle"
        return requests.get(address, headers={"x-api-key": key}, timeout=60).json()

    def documented_usage(self, uid: str) -> dict[str, str | None]:
        """The month's usage as an operator with redis-cli finds it."""
        month = f"{datetime.now(UTC):%Y}:{datetime.now(UTC).month}"
        return {channel: self.redis_get(f"user:{uid}:{channel}_usage:{month}") for channel in ("app", "api")}

    def redis_get(self, name: str) -> str | None:
        """GET of a raw key."""
        with redis.Redis.from_url(self.environment["REDIS_URL"], decode_responses=True) as client:
            return cast("str | None", client.get(name))

    def events(self, kinds: str) -> list[tuple[str, int, float]]:
        """The events of these kinds logged by `fake_model_wsgi`: (kind, process, second), in order of time."""
        lines = [line.split() for line in self.model_log.read_text().splitlines()]
        noted = [(kind, int(pid), float(second)) for kind, pid, second in lines if kind in kinds]
        return sorted(noted, key=lambda event: event[2])


def at_once(times: int, send: Callable[[], Answer]) -> list[Answer]:
    """Call `send` from as many threads as `times`, all at the same moment."""
    barrier = threading.Barrier(times)

    def together(_: int) -> Answer:
        barrier.wait(30)
        return send()

    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(together, range(times)))


def code_of(answer: requests.Response) -> str:
    """`ok`, or the error's code."""
    return "ok" if answer.ok else answer.json()["code"]
