"""The shipped proxy: Caddy with the deployment's Caddyfile, on a free loopback port in front of a running server."""

import json
import os
import re
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from tests.server import READY_SECONDS, ROOT, STOP_SECONDS, free_port

SECOND = 10**9  # Caddy's configuration counts nanoseconds


def configuration(port: int, server_port: int) -> dict[str, Any]:
    """The shipped Caddyfile as Caddy reads it, on a loopback port without TLS, with one server at a known address."""
    text = (ROOT / "deploy/Caddyfile").read_text()
    text, replaced = re.subn(r"dynamic a web 8000 \{[^}]*\}", f"to 127.0.0.1:{server_port}", text)
    assert replaced == 1
    environment = {**os.environ, "DOMAIN": f"http://127.0.0.1:{port}"}
    command = ["caddy", "adapt", "--adapter", "caddyfile", "--config", "/dev/stdin"]
    adapted = subprocess.run(command, input=text, env=environment, capture_output=True, text=True, timeout=30)
    assert adapted.returncode == 0, adapted.stderr
    return json.loads(adapted.stdout)


@dataclass
class Caddy:
    """A proxy in front of the server at `server_port`. `header_seconds` replaces the shipped deadline for headers."""

    folder: Path
    server_port: int
    header_seconds: int | None = None
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> "Caddy":
        """Start it, and wait until it forwards requests."""
        settings = configuration(self.port, self.server_port) | {"admin": {"disabled": True}}
        if self.header_seconds is not None:
            settings["apps"]["http"]["servers"]["srv0"]["read_header_timeout"] = self.header_seconds * SECOND
        path, log = self.folder / "caddy.json", self.folder / "caddy.log"
        path.write_text(json.dumps(settings))
        places = dict.fromkeys(("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"), str(self.folder))
        command = ["caddy", "run", "--config", str(path)]
        with log.open("ab") as output:
            self.process = subprocess.Popen(command, env=os.environ | places, stdout=output, stderr=output)
        deadline = time.monotonic() + READY_SECONDS
        while not self._answers():
            assert self.process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        return self

    def stop(self) -> None:
        """Stop it as a supervisor would."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(STOP_SECONDS)

    def _answers(self) -> bool:
        try:
            return requests.get(f"{self.url}/docs", timeout=5).ok
        except requests.RequestException:
            return False
