"""HTTP: authentication, answers to repeated idempotency keys, and routing to the module that answers."""

import base64
import contextlib
import json
import socket
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.fakes.stripe_server import control, pages, params, routes
from tests.fakes.stripe_server.errors import Refused
from tests.fakes.stripe_server.fake import Fault, Recorded, StripeFake

Answer = tuple[int, Any]
PAGES = {
    "pay": (pages.show_checkout, pages.click_checkout),
    "portal": (pages.show_portal, pages.click_portal),
    "invoice": (pages.show_invoice, None),
}
LONGEST_IDEMPOTENCY_KEY = 255


class Server(ThreadingHTTPServer):
    """Answers for `fake` on loopback; `remembered` are the answers by idempotency key."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, fake: StripeFake, port: int) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.fake = fake
        self.remembered: dict[str, tuple[Any, Answer]] = {}

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that disconnected is not our error; anything else is reported."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """One connection: the API, the controls or a page."""

    server: Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: object) -> None:
        """Silence: `StripeFake.requests` has the log."""

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_DELETE(self) -> None:
        self._answer()

    def _answer(self) -> None:
        url = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        kind, _, rest = url.path[1:].partition("/")
        if kind == "v1":
            self._api(url.path, body or url.query)
        elif kind == "_control":
            self._send(*_control(self.server.fake, self.command, rest, body))
        elif kind in PAGES:
            self._page(kind, rest, dict(parse_qsl(body)))
        else:
            self._send(404, {"error": {"type": "invalid_request_error", "message": f"Not found: {url.path}"}})

    def _api(self, path: str, form: str) -> None:
        time.sleep(max((seconds for slow, seconds in self.server.fake.delays.items() if path.startswith(slow)), default=0))
        fault = _next_fault(self.server.fake, path)
        status: int = fault.status if fault else 0
        answer: Any = {"error": {"type": "api_error", "message": "Told to fail."}}
        key = self.headers.get("Idempotency-Key")
        if fault is None or fault.after:
            real = _api_answer(self.server, self.command, path, form, self.headers)
            status, answer = (fault.status, answer) if fault else real
        with contextlib.suppress(Refused):
            given = params.decode(form)
            version = self.headers.get("Stripe-Version")
            self.server.fake.requests.append(Recorded(self.command, path, given, key, version, status))
        if fault and status == 0:
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        self._send(status, answer)

    def _page(self, kind: str, id: str, form: dict[str, str]) -> None:
        show, click = PAGES[kind]
        try:
            with self.server.fake.world.transaction():
                if self.command != "POST" or click is None:
                    self._send(200, show(self.server.fake.world, id))
                    return
                self._redirect(click(self.server.fake.world, id, form))
        except Refused as refused:
            try:
                self._send(refused.status, show(self.server.fake.world, id, str(refused)))
            except Refused:
                self._send(404, "<!doctype html><title>Not found</title><h1>Not found</h1>")

    def _redirect(self, address: str) -> None:
        self.send_response(303)
        self.send_header("Location", address)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _send(self, status: int, answer: Any) -> None:
        html = isinstance(answer, str)
        body = answer.encode() if html else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8" if html else "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Request-Id", self.server.fake.world.new_id("req"))
        self.end_headers()
        self.wfile.write(body)


def _next_fault(fake: StripeFake, path: str) -> Fault | None:
    for fault in fake.faults:
        if fault.times > 0 and path.startswith(fault.path):
            fault.times -= 1
            return fault
    return None


def _control(fake: StripeFake, method: str, name: str, body: str) -> Answer:
    try:
        return 200, control.call(fake, method, name, json.loads(body or "{}"))
    except Refused as refused:
        return refused.status, refused.body
    except (ValueError, TimeoutError) as error:
        return 400, {"error": {"message": str(error)}}


def _api_answer(server: Server, method: str, path: str, form: str, headers: Any) -> Answer:
    try:
        _authenticate(headers.get("Authorization", ""))
        given = params.decode(form)
        with server.fake.world.transaction():
            key = headers.get("Idempotency-Key") if method == "POST" else None
            if key is None:
                return 200, _call(server.fake, headers, method, path, given)
            return _once(server, headers, key, (method, path, given))
    except Refused as refused:
        return refused.status, refused.body


def _once(server: Server, headers: Any, key: str, request: tuple[str, str, Any]) -> Answer:
    """Repeat the first answer; as at Stripe, a refusal of the parameters is not stored, a declined card is."""
    if len(key) > LONGEST_IDEMPOTENCY_KEY:
        raise Refused("Idempotency keys can only be up to 255 characters long.", type="idempotency_error")
    if key in server.remembered:
        before, answer = server.remembered[key]
        if before != request:
            raise Refused(
                "Keys for idempotent requests can only be used with the same parameters they were first used with.",
                type="idempotency_error",
            )
        return answer
    try:
        answer = 200, _call(server.fake, headers, *request)
    except Refused as refused:
        if refused.status != 402:
            raise
        answer = refused.status, refused.body
    server.remembered[key] = request, answer
    return answer


def _call(fake: StripeFake, headers: Any, method: str, path: str, given: dict[str, Any]) -> Any:
    world = fake.world
    if version := headers.get("Stripe-Version"):
        world.api_version = version
    world.request = {"id": world.new_id("req"), "idempotency_key": headers.get("Idempotency-Key")}
    try:
        return routes.call(world, method, path, given)
    finally:
        world.request = {"id": None, "idempotency_key": None}


def _authenticate(header: str) -> None:
    scheme, _, credential = header.partition(" ")
    if scheme == "Basic":
        with contextlib.suppress(ValueError):
            credential = base64.b64decode(credential).decode().partition(":")[0]
    if scheme not in ("Bearer", "Basic") or not credential.startswith(("sk_test_", "rk_test_")):
        raise Refused(f"Invalid API Key provided: {credential[:8]}****", status=401)
