"""One connection: its phase, its speed, and how it ends."""

import socket
import struct
import time
from contextlib import suppress
from enum import Enum
from io import BytesIO
from typing import Any

from django.conf import settings
from waitress.channel import HTTPChannel
from waitress.task import ErrorTask, WSGITask

from lib.ops import access_log
from lib.web.errors import is_full_disk
from lib.web.server import client
from lib.web.server.figures import REFUSED
from lib.web.server.parser import RequestParser
from lib.web.server.refusals import Refused, render, server_error
from lib.web.server.uploads import Verdict

# Bytes sent per turn, so that one fast reader of a large response does not keep all other connections waiting.
TURN_BYTES = 1024**2
SEND_BYTES = 256 * 1024
# Linux: what the kernel buffers of a response that no one reads (socket.TCP_NOTSENT_LOWAT has no name before 3.12).
TCP_NOTSENT_LOWAT, NOTSENT_BYTES = 25, 128 * 1024
# After the last response, what the client still sends is read for this long: a reset would destroy the response.
LINGER_SECONDS = 2.0
# A response that occupies a thread, such as a zip made while it is sent, must be read at least this fast.
STREAM_BYTES_PER_SECOND = 32 * 1024
# Any response must be read within this many windows: a large one holds its place and its bytes on disk until then.
ANSWER_WINDOWS = 40


class Phase(Enum):
    """What a connection is waiting for."""

    IDLE = "idle"
    HEADER = "header"
    BODY = "body"
    JUDGING = "judging"
    WORKING = "working"
    SENDING = "sending"
    LINGERING = "lingering"


class Channel(HTTPChannel):  # type: ignore[misc]  # untyped
    """A connection. Everything runs in the I/O loop's thread, except `service` and what it calls."""

    parser_class = RequestParser
    is_lingering = False
    has_served = False
    has_ended = False
    sent_bytes = 0
    read_bytes = 0
    request: RequestParser | None
    close_when_flushed: bool

    def __init__(self, server: Any, sock: socket.socket, addr: Any, adj: Any, map: Any = None) -> None:
        self.peer = client.peer_address(addr)
        # The caller's address; behind proxies it is known only once a request's headers are.
        self.address = "" if settings.TRUSTED_PROXY_COUNT else self.peer
        self.phase, self.since, self.phase_bytes = Phase.IDLE, time.monotonic(), 0
        self.window_since, self.window_bytes, self.answer_bytes = self.since, 0, 0
        super().__init__(server, sock, addr, adj, map=map)
        self.sendbuf_len = SEND_BYTES
        if sock.family != socket.AF_UNIX:
            # On other kernels, their own buffers are the bound.
            with suppress(OSError):
                sock.setsockopt(socket.IPPROTO_TCP, TCP_NOTSENT_LOWAT, NOTSENT_BYTES)

    # --- What it is doing -------------------------------------------------------------------------

    def find_phase(self) -> Phase:
        """What the connection is waiting for now."""
        if self.is_lingering:
            return Phase.LINGERING
        if self.total_outbufs_len:
            return Phase.SENDING
        if self.requests:
            return Phase.WORKING
        if self.request is None:
            return Phase.IDLE
        if not self.request.headers_finished:
            return Phase.HEADER
        return Phase.JUDGING if self.request.is_waiting else Phase.BODY

    def moved_bytes(self) -> int:
        """Bytes received, or sent."""
        return self.read_bytes + self.sent_bytes

    def watch(self, now: float) -> None:
        """Record the connection's phase and progress, once a second and whenever a place is needed."""
        phase = self.find_phase()
        if phase is Phase.IDLE and settings.TRUSTED_PROXY_COUNT:
            self.server.connections.move(self, "")
        if phase is not self.phase:
            self.phase, self.since, self.phase_bytes = phase, now, self.moved_bytes()
            self.window_since, self.window_bytes = now, self.moved_bytes()
            self.answer_bytes = self.total_outbufs_len

    def rate(self, now: float) -> float:
        """Bytes per second in this phase."""
        return (self.moved_bytes() - self.phase_bytes) / max(now - self.since, 1.0)

    @property
    def is_busy(self) -> bool:
        """Whether another thread works or worked on it, so that what it waits for may change without an event."""
        request = self.request
        return bool(self.requests or self.total_outbufs_len or self.will_close or self.close_when_flushed) or (
            request is not None and request.is_waiting
        )

    @property
    def is_idle(self) -> bool:
        """Whether it has been served and is waiting for its next request."""
        return self.phase is Phase.IDLE and self.has_served

    @property
    def may_be_cut(self) -> bool:
        """Whether it may be closed to make room: not while its request is being processed."""
        return self.phase not in (Phase.WORKING, Phase.JUDGING)

    def end_if_idle(self) -> None:
        """Close it unless a request has begun."""
        if self.find_phase() is Phase.IDLE:
            self.handle_close()

    def tick(self, now: float) -> None:
        """Close a connection whose time is up."""
        self.watch(now)
        if self.request is not None and self.request.is_discarding:
            self._tick_discarding(now)
        elif self.phase is Phase.IDLE:
            self._end_after(settings.WEB_KEEPALIVE_SECONDS if self.has_served else settings.WEB_HEADER_SECONDS, now)
        elif self.phase is Phase.HEADER:
            self._refuse_after(settings.WEB_HEADER_SECONDS, now)
        elif self.phase is Phase.LINGERING:
            self._end_after(LINGER_SECONDS, now)
        elif self.phase in (Phase.BODY, Phase.SENDING):
            self._tick_window(now)

    def _tick_discarding(self, now: float) -> None:
        self.get_request().tick(now)
        self._enqueue()

    def _end_after(self, seconds: float, now: float) -> None:
        if now - self.since > seconds:
            self.handle_close()

    def _refuse_after(self, seconds: float, now: float) -> None:
        if now - self.since <= seconds:
            return
        if self.get_request().has_begun:
            self._refuse_as_too_slow()
        else:
            self.handle_close()

    def _tick_window(self, now: float) -> None:
        """Close a client that moves next to nothing for a whole window."""
        seconds = now - self.window_since
        if seconds < settings.WEB_STALL_SECONDS:
            return
        moved = self.moved_bytes() - self.window_bytes
        if moved >= seconds * self._least_rate():
            self.window_since, self.window_bytes = now, self.moved_bytes()
        elif self.phase is Phase.BODY:
            self._refuse_as_too_slow()
        else:
            REFUSED.labels("slow_reader").inc()
            self.handle_close()

    def _least_rate(self) -> float:
        least = float(settings.WEB_BYTES_PER_SECOND)
        if self.phase is Phase.SENDING:
            least = max(least, self.answer_bytes / (ANSWER_WINDOWS * settings.WEB_STALL_SECONDS))
            if self.requests and self.total_outbufs_len > self.adj.outbuf_high_watermark:
                least = max(least, STREAM_BYTES_PER_SECOND)
        return least

    def _refuse_as_too_slow(self) -> None:
        self.get_request().refuse(server_error(408))
        self._enqueue()

    def refuse_at_once(self) -> None:
        """Refuse the connection: there is no room for another."""
        status, headers, body = render(server_error(503), "/", {})
        fields = [*headers, ("Content-Length", str(len(body))), ("Connection", "close")]
        lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in fields), "", ""]
        self.send("\r\n".join(lines).encode() + body)
        if self.connected:
            self._linger()

    # --- Receiving --------------------------------------------------------------------------------

    def readable(self) -> bool:
        if self.is_lingering:
            return True
        if self.has_ended and (self.requests or self.total_outbufs_len):
            return False
        if self.request is not None and self.request.is_waiting:
            return False
        return bool(super().readable())

    def handle_read(self) -> None:
        """Read what has arrived."""
        try:
            data = self.socket.recv(self.adj.recv_bytes)
        except BlockingIOError:
            return
        except OSError:
            self.handle_close()
            return
        self.read_bytes += len(data)
        if not data:
            self._handle_end()
        elif not self.is_lingering:
            self.last_activity = time.time()
            self.received(data)

    def _handle_end(self) -> None:
        """The client sends nothing more. It may still read, so a pending response is sent."""
        self.has_ended = True
        if self.request is not None and self.request.headers_finished:
            self.request.refuse(server_error(400, "The body ended before it was complete."))
            self._enqueue()
        elif self.is_lingering or not (self.requests or self.total_outbufs_len):
            self.handle_close()

    def check_client_disconnected(self) -> bool:
        """`waitress.client_disconnected`: it sends nothing more, which is all that can be detected."""
        return self.has_ended or not self.connected

    def received(self, data: bytes) -> bool:
        """Split what has arrived into requests, and queue those that are complete."""
        with self.requests_lock:
            while data and not (self.will_close or self.close_when_flushed):
                data = data[self._take(data) :]
        return True

    def _take(self, data: bytes) -> int:
        if self.request is None:
            self.request = RequestParser(self.adj)
            self.request.peer = self.peer
        request = self.request
        had_headers = request.headers_finished
        used = request.received(data)
        if request.headers_finished and not had_headers:
            self._headers_are_there(request)
        if request.needs_verdict and not request.is_judging:
            request.is_judging = True
            self.server.check_sender(self, request)
        self._continue_if_wanted()
        if request.completed:
            self._append_request(request)
        return used

    def get_request(self) -> RequestParser:
        """The request being received. Only for phases that have one."""
        if self.request is None:
            raise RuntimeError("no request is being received")
        return self.request

    def _headers_are_there(self, request: RequestParser) -> None:
        if settings.TRUSTED_PROXY_COUNT:
            self.server.connections.move(self, request.caller_address())
            self.server.connections.make_room_for(self)

    def _continue_if_wanted(self) -> None:
        request = self.request
        if request is None or self.requests or self.sent_continue:
            return
        if request.expect_continue and request.headers_finished:
            self.send_continue()

    def send_continue(self) -> None:
        """Ask for the body, once it is known to be wanted."""
        request = self.get_request()
        if not (request.completed or request.needs_verdict):
            super().send_continue()

    def _append_request(self, request: RequestParser) -> None:
        self.sent_continue = False
        self.requests.append(request)
        if len(self.requests) == 1:
            self.server.add_task(self)
        self.request = None

    def _enqueue(self) -> None:
        with self.requests_lock:
            if self.request is not None and self.request.completed:
                self._append_request(self.request)

    def sender_checked(self, request: RequestParser, verdict: Verdict) -> None:
        """Apply the verdict on the sender of a large body."""
        if request is not self.request:
            return
        request.sender_checked(verdict)
        with self.requests_lock:
            self._continue_if_wanted()
        self._enqueue()

    # --- Sending ----------------------------------------------------------------------------------

    def handle_write(self) -> None:
        """Send what is ready; then close the connection if it is due to close."""
        if not self.requests:
            flush = self._flush_some
        elif self.total_outbufs_len >= self.adj.send_bytes:
            flush = self._flush_some_if_lockable
        else:
            flush = None
        self._flush_exception(flush)
        if self.close_when_flushed and not self.total_outbufs_len:
            self.close_when_flushed = False
            self._linger()
        if self.will_close:
            self.handle_close()

    def writable(self) -> bool:
        return not self.is_lingering and bool(super().writable())

    def _linger(self) -> None:
        self.is_lingering = True
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            self.will_close = True

    def _flush_some(self, do_close: bool = True) -> bool:
        """Send up to TURN_BYTES. As in waitress, except for that bound and the count."""
        before = self.sent_bytes
        while self.sent_bytes - before < TURN_BYTES:
            buffer = self.outbufs[0]
            if not buffer.__len__():
                if len(self.outbufs) == 1:
                    break
                self._close_buffer(self.outbufs.pop(0))
                continue
            sent = self.send(buffer.get(self.sendbuf_len), do_close=do_close)
            if not sent:
                break
            buffer.skip(sent, True)
            self.sent_bytes += sent
            self.total_outbufs_len -= sent
        if not self.total_outbufs_len:
            # Not with the next response: a file is released, and its caller's place freed, as soon as it has been sent.
            while len(self.outbufs) > 1:
                self._close_buffer(self.outbufs.pop(0))
            self.has_served = True
        if self.sent_bytes == before:
            return False
        self.last_activity = time.time()
        return True

    def _close_buffer(self, buffer: Any) -> None:
        try:
            buffer.close()
        except Exception:
            self.logger.exception("a response's file could not be closed")

    def handle_close(self) -> None:
        """The connection is closed, by either side."""
        if self.request is not None:
            self.request.close()
        if self.total_outbufs_len and self.socket is not None:
            # The kernel would keep the rest of the response for minutes, for a client that does not read it.
            with suppress(OSError):
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        super().handle_close()

    def del_channel(self, map: Any = None) -> None:
        self.server.connections.leave(self)
        super().del_channel(map)


class ErrorAnswer(ErrorTask):  # type: ignore[misc]  # untyped
    """A response that the server gives without the application."""

    def execute(self) -> None:
        error = self.request.error
        if not hasattr(error, "status"):  # waitress's own, for an application that crashed
            error = server_error(error.code)
        path = self.request.guess_path()
        self.status, headers, body = render(error, path, self.request.headers)
        self.response_headers.extend(headers)
        self.set_close_on_finish()
        self.content_length = len(body)
        REFUSED.labels(error.code).inc()
        access_log.note_refused(self.request.command, path, int(self.status.split()[0]), error.code)
        self.write(b"" if self.request.command == "HEAD" else body)


class Answer(WSGITask):  # type: ignore[misc]  # untyped
    """A response of the application."""

    def execute(self) -> None:
        if self.channel.server.connections.is_stopping or not self.request.is_framed:
            self.set_close_on_finish()
        try:
            super().execute()
        except (Refused, OSError) as error:
            if self.wrote_header or not (isinstance(error, Refused) or is_full_disk(error)):
                raise
            self._answer_instead(error)

    def _answer_instead(self, error: Exception) -> None:
        """Answer with an error: there was no room for what the application needed."""
        self.request.error = error.error if isinstance(error, Refused) else server_error(507)
        self.complete = True
        self.response_headers: list[tuple[str, str]] = []
        ErrorAnswer.execute(self)

    def get_environment(self) -> dict[str, Any]:
        """As waitress makes it, but with the path as sent: two slashes are not collapsed."""
        known = self.environ is not None
        environ: dict[str, Any] = super().get_environment()
        if not known:
            environ["PATH_INFO"] = self.request.path
            environ["SERVER_SOFTWARE"] = "waitress"
            if self.request.refusal is not None:
                environ["rembg.refusal"] = self.request.refusal
        return environ

    def finish(self) -> None:
        if self.request.command == "HEAD":
            self.chunked_response = False
            if not self.wrote_header:
                self.write(b"")
            return
        super().finish()


class _WithoutBody:
    """A request of which only the headers are examined."""

    def __init__(self, request: RequestParser) -> None:
        self._request = request
        self.headers = {name: value for name, value in request.headers.items() if name != "CONTENT_LENGTH"}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._request, name)

    def get_body_stream(self) -> BytesIO:
        return BytesIO()


def environment_of(channel: Channel, request: RequestParser) -> dict[str, Any]:
    """The WSGI environment of a request whose body has not arrived yet; the body is empty."""
    return Answer(channel, _WithoutBody(request)).get_environment()


Channel.task_class = Answer
Channel.error_task_class = ErrorAnswer
