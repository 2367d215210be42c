"""`rembg s`, as anyone can install it: in a separate environment, with the same weights as the product."""

import importlib.metadata
import os
import subprocess
import sys
import time
from pathlib import Path

import requests

from tests.server import free_port

READY_SECONDS = 180


class RembgServer:
    """One running `rembg s --no-ui`, of the version the product depends on."""

    def __init__(self, folder: Path, environment: Path) -> None:
        """Logs go to `folder`; the virtual environment at `environment` is created if it is missing."""
        self.log = folder / "rembg.log"
        self.port = free_port()
        self._program = install(environment)
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api/remove"

    def start(self) -> "RembgServer":
        """Start it, and wait until it responds."""
        address = ["--host", "127.0.0.1", "--port", str(self.port)]
        command = [str(self._program), "s", "--no-ui", *address, "--log_level", "error"]
        with self.log.open("ab") as log:
            # Its own imports otherwise compile for 50 s on first use, for a step that is not requested.
            self.process = subprocess.Popen(command, env=os.environ | {"NUMBA_DISABLE_JIT": "1"}, stdout=log, stderr=log)
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                if requests.get(f"http://127.0.0.1:{self.port}/openapi.json", timeout=5).ok:
                    return self
            except requests.RequestException:
                time.sleep(0.1)
        raise RuntimeError(f"rembg did not start: {self.log.read_text()[-2000:]}")

    def stop(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(30)


def install(environment: Path) -> Path:
    """The `rembg` program in the virtual environment at `environment`, created on first use."""
    program = environment / "bin" / "rembg"
    if not program.exists():
        print("Installing rembg into an environment of its own", file=sys.stderr)
        version = importlib.metadata.version("rembg")
        subprocess.run([sys.executable, "-m", "venv", environment], check=True)
        pip = [str(environment / "bin/python"), "-m", "pip", "install", "-qq", "--no-input", "--disable-pip-version-check"]
        subprocess.run([*pip, f"rembg[cpu,cli]=={version}"], check=True)
    return program
