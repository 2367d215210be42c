"""Starts the product as an operator does: gunicorn in a process of its own, on a free loopback port."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import requests

ROOT = Path(__file__).resolve().parent.parent
READY_SECONDS = 60
STOP_SECONDS = 30


@dataclass
class ProductServer:
    """One running deployment with its own database, under `folder`."""

    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    application: str = "config.wsgi:application"
    port: int = 0
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.port = self.port or free_port()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    def start(self) -> "ProductServer":
        """Migrate, start, and wait until it says it is ready."""
        self.manage("migrate", "--verbosity", "0")
        return self.serve()

    def serve(self) -> "ProductServer":
        """Start the processes on a database that is there already."""
        command = [sys.executable, "-m", "gunicorn", "-c", "config/gunicorn.py", self.application]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, env=self._env(), stdout=log, stderr=log)
        self.wait_until_ready()
        return self

    def stop(self) -> None:
        """End it as a supervisor would."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(STOP_SECONDS)

    def workers(self) -> list[int]:
        """The process ids of the web processes, without the one that watches over them."""
        assert self.process is not None
        found = subprocess.run(["pgrep", "-P", str(self.process.pid)], capture_output=True, text=True, timeout=10)
        return [int(pid) for pid in found.stdout.split()]

    def manage(self, *arguments: str) -> str:
        """Run a management command on the same deployment and return what it printed."""
        command = [sys.executable, "manage.py", *arguments]
        done = subprocess.run(command, cwd=ROOT, env=self._env(), capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def issue_key(self, email: str, *, plan: str = "Premium-20000", prepaid: int = 0) -> str:
        """A new key of a verified account."""
        return self.manage("issue_key", email, "--plan", plan, "--prepaid", str(prepaid)).strip()

    def rmbg(
        self, key: str | None = None, *, headers: Mapping[str, str] | None = None, **kwargs: object
    ) -> requests.Response:
        """POST /rmbg with requests' own arguments."""
        credential = {"x-api-key": key} if key else {}
        return requests.post(f"{self.url}/rmbg", headers={**credential, **(headers or {})}, timeout=300, **kwargs)  # type: ignore[arg-type]

    def _env(self) -> dict[str, str]:
        inherited = {
            name: value
            for name, value in os.environ.items()
            if name not in ("DJANGO_SETTINGS_MODULE", "DATABASE_URL", "REDIS_URL")
        }
        own = {"VAR_DIR": str(self.folder), "PORT": str(self.port), "PYTHONWARNINGS": "default"}
        return {**inherited, **own, **self.environment}

    def wait_until_ready(self) -> None:
        """Return once it can answer everything; fail after READY_SECONDS."""
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            assert self.process is not None
            assert self.process.poll() is None, self.log.read_text()
            try:
                if requests.get(f"{self.url}/readyz", timeout=5).ok:
                    return
            except (requests.ConnectionError, requests.Timeout):
                pass
            time.sleep(0.05)
        raise AssertionError(f"not ready after {READY_SECONDS} s:\n{self.log.read_text()}")


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
