"""Starts the product as an operator does: gunicorn in a separate process, on a free loopback port."""

import fcntl
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import requests

ROOT = Path(__file__).resolve().parent.parent
READY_SECONDS = 60
STOP_SECONDS = 30
# Where the product keeps its data, in VAR_DIR, if no DATABASE_URL is set.
DATABASE = "db.sqlite3"
# Log-in providers, as an operator switches them on. None is asked before a visitor presses its button.
PROVIDERS = {
    "GOOGLE_CLIENT_ID": "id", "GOOGLE_CLIENT_SECRET": "secret", "GITHUB_CLIENT_ID": "id", "GITHUB_CLIENT_SECRET": "secret",
    "OPENID_SERVER_URL": "https://id.example.com", "OPENID_CLIENT_ID": "id", "OPENID_CLIENT_SECRET": "secret",
    "OPENID_NAME": "Example ID",
}  # fmt: skip
# The temporary folder that all workers of a run share, if there is a run.
RUN_FOLDER: Path | None = None
# The databases by URL that this process has migrated: several deployments, one after another, share one.
MIGRATED: set[str] = set()


@dataclass
class ProductServer:
    """One running deployment with its own database, under `folder`."""

    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    application: str = "config.wsgi:application"
    port: int = 0
    # The checkout that runs: another one is another release.
    root: Path = ROOT
    process: subprocess.Popen[bytes] | None = None
    manage_process: subprocess.Popen[str] | None = None

    def __post_init__(self) -> None:
        self.port = self.port or free_port()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    def start(self) -> "ProductServer":
        """Migrate, start, and wait until it reports that it is ready."""
        url = self.environment.get("DATABASE_URL")
        if url is None:
            (self.folder / DATABASE).write_bytes(migrated_database())
        elif url not in MIGRATED:
            self.manage("migrate", "--verbosity", "0")
            MIGRATED.add(url)
        return self.serve()

    def serve(self) -> "ProductServer":
        """Start the processes on an existing database."""
        command = [sys.executable, "-m", "gunicorn", "-c", "config/gunicorn.py", self.application]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, cwd=self.root, env=self._env(), stdout=log, stderr=log)
        self.wait_until_ready()
        return self

    def stop(self) -> None:
        """Stop it as a supervisor would."""
        if self.manage_process is not None:
            self.manage_process.communicate(timeout=STOP_SECONDS)
            self.manage_process = None
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(STOP_SECONDS)

    def workers(self) -> list[int]:
        """The process ids of the web processes, without the master's."""
        assert self.process is not None
        found = subprocess.run(["pgrep", "-P", str(self.process.pid)], capture_output=True, text=True, timeout=10)
        return [int(pid) for pid in found.stdout.split()]

    def manage(self, *arguments: str) -> str:
        """Run a management command on the same deployment and return its output."""
        if self.process is None or self.process.poll() is not None:
            return run_command(arguments, self._env(), self.root)
        # A process with Django loaded runs along with the server: loading it is most of a command's time.
        if self.manage_process is None:
            self.manage_process = subprocess.Popen(
                [sys.executable, "-m", "tests.manage_process"],
                cwd=self.root, env=self._env(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            )  # fmt: skip
        assert self.manage_process.stdin is not None
        assert self.manage_process.stdout is not None
        self.manage_process.stdin.write(json.dumps(arguments) + "\n")
        self.manage_process.stdin.flush()
        answer: dict[str, str] = json.loads(self.manage_process.stdout.readline())
        assert not answer["error"], answer["error"]
        return answer["printed"]

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
        """Return once it can handle everything; fail after READY_SECONDS."""
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


def run_command(arguments: tuple[str, ...], environment: Mapping[str, str], root: Path) -> str:
    """The output of a management command, run in a separate process."""
    command = [sys.executable, "manage.py", *arguments]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return done.stdout


@cache
def migrated_database() -> bytes:
    """The file of an empty SQLite database: migrating from scratch takes longer than starting a whole server.

    Made once in RUN_FOLDER, where there is one, for all workers of a run.
    """
    with tempfile.TemporaryDirectory() as own:
        folder = RUN_FOLDER or Path(own)
        made, path = folder / "migrated.sqlite3", Path(own) / DATABASE
        with (folder / "migrated.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not made.exists():
                ProductServer(Path(own)).manage("migrate", "--verbosity", "0")
                with closing(sqlite3.connect(path)) as database:
                    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                shutil.copyfile(path, made)
            return made.read_bytes()


def free_port() -> int:
    """A port on which no process listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
