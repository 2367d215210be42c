"""gunicorn's thread worker, with a clean end."""

from socket import socket

from gunicorn.workers.gthread import ThreadWorker


class DrainingWorker(ThreadWorker):  # type: ignore[misc]  # untyped
    """Shuts the door when it is told to stop.

    gunicorn's own worker stops taking connections then but leaves the door open while it finishes its requests, which may
    be minutes. Whoever comes meanwhile is let in by the kernel, waits for nobody, and is cut off at the end. A closed door
    refuses them at once, so that a proxy tries the next server.
    """

    def set_accept_enabled(self, enabled: bool) -> None:
        """Begin or stop to take connections; for good once the worker is stopping."""
        super().set_accept_enabled(enabled)
        if not enabled and not self.alive:
            for listener in self.sockets:
                self._take_those_let_in(listener)
                listener.close()

    def _take_those_let_in(self, listener: socket) -> None:
        """Whom the kernel has accepted already, we cannot refuse any more."""
        before = -1
        while before != self.nr_conns:
            before = self.nr_conns
            self.accept(listener)
