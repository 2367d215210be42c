"""The processes of compose.yaml, from the image, on this machine's PostgreSQL, Redis and RabbitMQ."""

import os
import re
import secrets
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import requests

from tests.image.compose import Service, health_command, read_services
from tests.image.engines import COMMAND_SECONDS, Engine
from tests.server import ROOT, free_port

DOMAIN = "cutouts.example.com"
# `inference` has its own profile.
PROCESSES = ("web", "worker", "batch", "beat")
START_SECONDS = 120


class Deployment:
    """`stores` are the addresses of the services, replacing those that compose.yaml has for its own containers."""

    def __init__(self, engine: Engine, folder: Path, stores: Mapping[str, str]) -> None:
        self._engine = engine
        self._folder = folder
        self._stores = stores
        self._configuration = engine.configuration()
        self._prefix = f"test-{secrets.token_hex(4)}"
        variables = _filled_environment()
        self.services = read_services(variables)
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._own = {**variables, "WEB_BIND": f"127.0.0.1:{port}"}
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._prepared: set[str] = set()

    def start(self) -> None:
        """Migrate, then start all and wait until they work."""
        assert self.run("migrate", *self.command("migrate")).returncode == 0
        for name in PROCESSES:
            with (self._folder / f"{name}.log").open("ab") as log:
                self._running[name] = subprocess.Popen(
                    [*self._start_command(name), *self.command(name)], stdout=log, stderr=log, start_new_session=True
                )
        self.wait_for(lambda: all(self.health(name) == 0 for name in PROCESSES if self._health_test(name)), START_SECONDS)

    def command(self, name: str) -> list[str]:
        """The command of the service in compose.yaml."""
        return self.services[name].command or self._configuration["Cmd"]

    def run(self, name: str, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run one command in a separate container, as `docker compose run` does."""
        start = self._start_command(name, f"{name}-{secrets.token_hex(3)}", **environment)
        return subprocess.run([*start, *command], capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False)

    def health(self, name: str) -> int:
        """The exit status of a service's health check, run where the service runs."""
        inside = self._engine.inside(self._container(name), self._environment(self.services[name]))
        command = [*inside, *health_command(self._health_test(name) or [])]
        return subprocess.run(command, capture_output=True, timeout=COMMAND_SECONDS, check=False).returncode

    def _health_test(self, name: str) -> list[str] | None:
        """The image's, unless compose.yaml has another or switches it off."""
        return self.services[name].health or (self._configuration["Healthcheck"]["Test"] if name == "web" else None)

    def wait_for(self, happened: Callable[[], bool], seconds: float) -> None:
        """Wait until it is true; every process must stay alive."""
        deadline = time.monotonic() + seconds
        while not happened():
            assert all(process.poll() is None for process in self._running.values()), self.logs()
            assert time.monotonic() < deadline, self.logs()
            time.sleep(0.5)

    def logs(self) -> str:
        """The end of each process's log."""
        return "\n".join(f"--- {path.name}\n{path.read_text()[-3000:]}" for path in sorted(self._folder.glob("*.log")))

    def request(self, method: str, path: str, key: str, **arguments: Any) -> requests.Response:
        """What the proxy forwards of a call over HTTPS."""
        headers = {"Host": DOMAIN, "X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.7", "x-api-key": key}
        headers |= arguments.pop("headers", {})
        return requests.request(method, self.url + path, headers=headers, timeout=120, **arguments)

    def stop(self) -> dict[str, tuple[int | None, float]]:
        """Send SIGTERM to each; return exit statuses, None for one that outlives its grace, and the seconds each took."""
        return {name: self._stop(name) for name in PROCESSES}

    def _stop(self, name: str) -> tuple[int | None, float]:
        process, begun = self._running[name], time.monotonic()
        self._engine.terminate(process.pid)
        with suppress(subprocess.TimeoutExpired):
            process.wait(self.services[name].grace_seconds)
        return process.poll(), time.monotonic() - begun

    def kill(self) -> None:
        """Stop what still runs."""
        for process in self._running.values():
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def _container(self, name: str) -> str:
        return f"{self._prefix}-{name}"

    def _environment(self, service: Service) -> dict[str, str]:
        assert self._stores.keys() <= service.environment.keys()
        return {**self._own, **service.environment, **self._stores}

    def _start_command(self, name: str, container: str = "", **environment: str) -> list[str]:
        service, container = self.services[name], self._container(container or name)
        if container not in self._prepared:
            self._engine.prepare(container)
            self._prepared.add(container)
        volumes = {str(self.volume(source)): target for source, target in service.volumes.items()}
        return self._engine.command(container, {**self._environment(service), **environment}, volumes)

    def volume(self, name: str) -> Path:
        """A folder in place of the named volume, which would take its owner from the image."""
        folder = self._folder / name
        folder.mkdir(exist_ok=True)
        folder.chmod(0o777)
        return folder


def _filled_environment() -> dict[str, str]:
    """The variables of deploy/env.example, filled in."""
    names = re.findall(r"^([A-Z_]+)=(.*)$", (ROOT / "deploy" / "env.example").read_text(), re.MULTILINE)
    given = {name: value for name, value in names if value}
    made = {
        name: secrets.token_urlsafe(48)
        for name in ("SECRET_KEY", "API_KEY_PEPPER", "POSTGRES_PASSWORD", "RABBITMQ_PASSWORD", "METRICS_TOKEN")
    }
    return {**dict.fromkeys((name for name, _ in names), ""), **given, **made, "DOMAIN": DOMAIN, "EMAIL_URL": "dummymail://"}
