"""A private Redis for one test, to be killed, frozen and started again."""

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

from tests.server import free_port


class RedisServer:
    """A private Redis that the test may kill."""

    def __init__(self, folder: Path, **options: str) -> None:
        self.folder = folder
        self.options = options
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> "RedisServer":
        """Start it, empty, and wait until it responds."""
        options = {"port": str(self.port), "bind": "127.0.0.1", "save": "", "dir": str(self.folder), "logfile": "redis.log"}
        options |= self.options
        command = ["redis-server", *(part for name, value in options.items() for part in (f"--{name}", value))]
        self.process = subprocess.Popen(command)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                time.sleep(0.02)
            else:
                return self
        raise AssertionError("redis-server did not start")

    def send(self, number: signal.Signals) -> None:
        """Signal this exact process."""
        assert self.process is not None
        os.kill(self.process.pid, number)

    def kill(self) -> None:
        """End it without warning."""
        self.send(signal.SIGKILL)
        assert self.process is not None
        self.process.wait(10)
