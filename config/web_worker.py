"""gunicorn's worker: gunicorn starts, watches and stops the process, and waitress serves in it (see `lib.web.server`)."""

import os
import time
from typing import Any

from gunicorn.workers.base import Worker
from waitress import wasyncore


class WebWorker(Worker):  # type: ignore[misc]  # untyped
    """Serves until it is asked to stop, then answers the requests it has.

    On SIGTERM it stops listening at once: new callers are refused, so that a proxy tries the next server.
    """

    def run(self) -> None:
        """The main thread's loop."""
        # Needs Django, which is ready only once the application has been loaded.
        from lib.web.server.server import Server

        sockets = [getattr(listener, "sock", listener) for listener in self.sockets]
        server = Server(self.wsgi, sockets, threads=self.cfg.threads)
        _Alarm(self.PIPE[0], server.map)
        while self.alive:
            self.notify()
            server.poll()
            if self.ppid != os.getppid():
                self.log.info("Parent changed, shutting down: %s", self)
                break
        server.stop()
        deadline = time.monotonic() + self.cfg.graceful_timeout
        while not server.is_done() and time.monotonic() < deadline:
            self.notify()
            server.poll()
        server.close()


class _Alarm(wasyncore.file_dispatcher):  # type: ignore[misc]  # untyped
    """Wakes the loop when a signal arrives: Python writes a byte for each."""

    def __init__(self, fd: int, map: dict[int, Any]) -> None:
        super().__init__(fd, map)

    def writable(self) -> bool:
        return False

    def handle_read(self) -> None:
        try:
            self.recv(4096)
        except OSError:
            return

    def handle_close(self) -> None:
        """Stay open."""
