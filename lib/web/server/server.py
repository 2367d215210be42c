"""The server of one process: waitress on the sockets that gunicorn opened, and a pool of threads for the application."""

import errno
import logging
import resource
import socket
import time
from collections.abc import Callable, Sequence
from typing import Any

from django.conf import settings
from waitress.adjustments import Adjustments
from waitress.server import BaseWSGIServer
from waitress.task import ThreadedTaskDispatcher

from lib.ops.database import give_back
from lib.web.server import channel as channels
from lib.web.server.channel import Channel
from lib.web.server.connections import Connections
from lib.web.server.loop import Loop
from lib.web.server.parser import RequestParser
from lib.web.server.uploads import Verdict

logger = logging.getLogger(__name__)

RECEIVE_BYTES = 256 * 1024
# A response past the first goes to a nameless file; a thread that produces one while it is sent waits at the second.
OVERFLOW_BYTES, WATERMARK_BYTES = 1024**2, 4 * 1024**2
# Threads that check the senders of large uploads. They are not the application's: those may all be busy.
DOORKEEPERS = 2
# Files not used by connections, and files per connection: its socket, its request's body, its response.
SPARE_FILES, FILES_EACH = 256, 3
TICK_SECONDS = 1.0
ACCEPTED_AT_ONCE = 16
# How long a stopping server leaves idle connections open, for a request that is on its way.
STOP_LINGER_SECONDS = 2.0
OUT_OF_FILES = (errno.EMFILE, errno.ENFILE)


class Listener(BaseWSGIServer):  # type: ignore[misc]  # untyped
    """One listening socket."""

    channel_class = Channel

    def __init__(self, server: "Server", sock: socket.socket, adj: Adjustments) -> None:
        self.connections, self.check_sender = server.connections, server.check_sender
        sockinfo = (sock.family, sock.type, sock.proto, sock.getsockname())
        super().__init__(
            server.application, server.map, _sock=sock, dispatcher=server.pool, adj=adj, sockinfo=sockinfo, bind_socket=False
        )
        # For requests without a Host header, such as a load balancer's probes.
        self.server_name = self.effective_host

    def getsockname(self) -> Any:
        if self.family == socket.AF_UNIX:
            return "localhost", 0
        numeric = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV
        return socket.getnameinfo(self.socket.getsockname(), numeric)

    def fix_addr(self, addr: Any) -> Any:
        return ("", 0) if self.family == socket.AF_UNIX else addr

    def set_socket_options(self, conn: socket.socket) -> None:
        if self.family != socket.AF_UNIX:
            for level, option, value in self.adj.socket_options:
                conn.setsockopt(level, option, value)

    def accept_connections(self) -> None:
        # gunicorn has called listen().
        self.accepting = True

    def readable(self) -> bool:
        return bool(self.accepting)

    def handle_accept(self) -> None:
        """Accept some of the connections that the kernel has queued."""
        self._accept(ACCEPTED_AT_ONCE)

    def _accept(self, count: int) -> None:
        for _ in range(count):
            if not self.accept_one():
                break

    def accept_one(self) -> bool:
        """Accept a connection; False if there is none."""
        try:
            taken = self.accept()
            if taken is None:
                return False
            conn, addr = taken
            self.set_socket_options(conn)
        except OSError as error:
            if error.errno in OUT_OF_FILES:
                self.connections.cut_one()
            return False
        made = self.channel_class(self, conn, self.fix_addr(addr), self.adj, map=self._map)
        self.connections.enter(made)
        return True

    def stop(self) -> None:
        """Close the socket after accepting what the kernel has queued: those connections can no longer be refused."""
        self._accept(self.adj.backlog)
        self.accepting = False
        self.del_channel()
        self.socket.close()


class Server:
    """Runs an application on sockets. All of it belongs to one thread, except `check_sender`'s work."""

    def __init__(self, application: Callable[..., Any], sockets: Sequence[socket.socket], *, threads: int) -> None:
        self.application = application
        self.map = Loop()
        self.connections = Connections(_connection_limit(), settings.WEB_CONNECTIONS_PER_ADDRESS)
        self.pool, self.doorkeepers = ThreadedTaskDispatcher(), ThreadedTaskDispatcher()
        self.pool.set_thread_count(threads)
        self.doorkeepers.set_thread_count(DOORKEEPERS)
        adj = Adjustments(
            recv_bytes=RECEIVE_BYTES,
            outbuf_overflow=OVERFLOW_BYTES,
            outbuf_high_watermark=WATERMARK_BYTES,
            # Lets the application ask whether its client is still connected: `waitress.client_disconnected`.
            channel_request_lookahead=1,
            log_socket_errors=False,
            # `lib.web.client_address` and Django evaluate the headers of proxies, according to TRUSTED_PROXY_COUNT.
            clear_untrusted_proxy_headers=False,
            ident="",
        )
        self.listeners = [Listener(self, sock, adj) for sock in sockets]
        self._ticked = time.monotonic()
        self._stopped_at = 0.0

    def poll(self) -> None:
        """Serve for at most a second."""
        self.map.turn(TICK_SECONDS)
        now = time.monotonic()
        if now - self._ticked >= TICK_SECONDS:
            self._ticked = now
            self.connections.tick(now)
            self.map.ask_all()

    def check_sender(self, channel: Channel, request: RequestParser) -> None:
        """Check the sender of a large upload in another thread."""
        self.doorkeepers.add_task(_Judging(channel, request))

    def stop(self) -> None:
        """Accept no more connections, and close each open one with its next response."""
        self.connections.is_stopping = True
        self._stopped_at = time.monotonic()
        for listener in self.listeners:
            listener.stop()

    def is_done(self) -> bool:
        """After `stop`: whether every request has been answered. Idle connections are closed after a while."""
        if time.monotonic() - self._stopped_at > STOP_LINGER_SECONDS:
            for channel in list(self.connections.channels):
                channel.end_if_idle()
        return not self.connections.channels

    def close(self) -> None:
        """Close all remaining connections."""
        for channel in list(self.connections.channels):
            channel.handle_close()
        for dispatcher in (self.pool, self.doorkeepers):
            dispatcher.shutdown(timeout=0)


class _Judging:
    """A task of a doorkeeper thread."""

    def __init__(self, channel: Channel, request: RequestParser) -> None:
        self.channel, self.request = channel, request

    def service(self) -> None:
        verdict = Verdict()
        try:
            if self.request.upload is not None:
                verdict = self.request.upload.check_sender(channels.environment_of(self.channel, self.request))
        except Exception:
            # The application will check the sender itself.
            logger.exception("the sender of an upload could not be checked")
        finally:
            give_back()
        self.channel.server.trigger.pull_trigger(lambda: self.channel.sender_checked(self.request, verdict))

    def cancel(self) -> None:
        """The server has stopped."""


def _connection_limit() -> int:
    """How many connections the file limit allows, at most WEB_CONNECTIONS."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = settings.WEB_CONNECTIONS * FILES_EACH + SPARE_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft == resource.RLIM_INFINITY:
        return int(settings.WEB_CONNECTIONS)
    return max(1, min(settings.WEB_CONNECTIONS, (soft - SPARE_FILES) // FILES_EACH))
