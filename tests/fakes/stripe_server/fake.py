"""The object that tests use: start it, point the product at its address, and act as buyers, banks and time."""

import threading
from dataclasses import dataclass
from http.server import ThreadingHTTPServer
from types import TracebackType
from typing import Any

from tests.fakes.stripe_server import checkout, clock, invoicing, payments, portal
from tests.fakes.stripe_server.webhooks import Webhooks, payload_of, sign
from tests.fakes.stripe_server.world import Obj, World, public


@dataclass(frozen=True)
class Recorded:
    """One request of the product; `params` are as received, with numbers still as text."""

    method: str
    path: str
    params: Obj
    idempotency_key: str | None
    version: str | None
    status: int


@dataclass
class Fault:
    """Answers that fail: `status` 0 hangs up; `after` lets the request take effect first."""

    times: int
    status: int
    path: str
    after: bool


class StripeFake:
    """A Stripe with one account. Every change of its state is a method here and an endpoint under `/_control/`."""

    def __init__(
        self,
        webhook_url: str | None = None,
        secret: str = "whsec_test",  # noqa: S107 - signs nothing but tests
        clock: int | None = None,
        *,
        port: int = 0,
        after_retries: str = "cancel",
    ) -> None:
        """`clock` (Unix time) stops the time there; `after_retries` is `cancel` or `unpaid`."""
        self.webhooks = Webhooks(webhook_url, secret)
        self.world = World(self.webhooks, clock, after_retries)
        self.requests: list[Recorded] = []
        self.faults: list[Fault] = []
        self.delays: dict[str, float] = {}
        self._port = port
        self._server: ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> "StripeFake":
        """Listen on loopback, on a free port unless one was given."""
        from tests.fakes.stripe_server.server import Server

        self._server = Server(self, self._port)
        self.world.url = self.url
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        self.webhooks.start()
        return self

    def stop(self) -> None:
        """Stop listening and delivering."""
        self.webhooks.stop()
        if self._server and self._thread:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()

    def __enter__(self) -> "StripeFake":
        return self.start()

    def __exit__(
        self, type: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """The base address for the SDK and for browsers."""
        assert self._server is not None, "start() first"
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def now(self) -> int:
        """The server's time."""
        return self.world.now

    # Buyers

    def pay(self, session: str, *, later: bool = False) -> Obj:
        """Complete a Checkout session; with `later` the money is still under way."""
        with self.world.transaction():
            return public(checkout.pay(self.world, session, later=later))

    def resolve_async(self, session: str, succeed: bool = True) -> Obj:
        """The money of a session paid `later` has arrived, or not."""
        with self.world.transaction():
            return public(checkout.resolve(self.world, session, succeed=succeed))

    def set_card(self, customer: str, fails: bool = True) -> None:
        """Whether the customer's stored card is refused at renewals and upgrades."""
        with self.world.transaction():
            portal.set_card(self.world, customer, fails=fails)

    def pay_invoice(self, invoice: str) -> Obj:
        """The customer pays an open invoice by hand."""
        with self.world.transaction():
            return public(invoicing.pay(self.world, {}, invoice))

    # Time and banks

    def advance(self, to: int) -> int:
        """Move the clock to a Unix time and run all that falls due until then; returns how many things ran."""
        return clock.advance(self.world, to)

    def refund(self, charge: str, amount: int | None = None) -> Obj:
        """The merchant refunds a charge, or a part of it (cents), in Stripe's dashboard."""
        params = {"charge": charge} if amount is None else {"charge": charge, "amount": amount}
        with self.world.transaction():
            return public(payments.create_refund(self.world, params))

    def dispute(self, charge: str, status: str = "created") -> Obj:
        """A dispute is `created`, `won` or `lost`."""
        with self.world.transaction():
            return public(payments.dispute(self.world, charge, status))

    # Events

    def events(self, type: str | None = None) -> list[Obj]:
        """All events so far, oldest first."""
        with self.world.transaction():
            return [public(event) for event in reversed(self.world.all("event", type=type))]

    def signed(self, event: str | Obj, *, secret: str | None = None, at: int | None = None) -> tuple[bytes, str]:
        """The body and the `Stripe-Signature` of an event, for a test that posts it itself."""
        body = payload_of(public(self.world.get("event", event)) if isinstance(event, str) else event)
        return body, sign(body, secret or self.webhooks.secret, at)

    def twin(self, event: str) -> Obj:
        """A new event that reports the same fact."""
        with self.world.transaction():
            return public(self.world.twin(event))

    def deliver(self, event: str, times: int = 1, *, new_id: bool = False, delay: float = 0) -> list[str]:
        """Send an event (again) in any mode; with `new_id` each time under a new id. Returns the ids sent."""
        with self.world.transaction():
            events = [self.world.twin(event) if new_id else self.world.get("event", event) for _ in range(times)]
            for each in events:
                self.webhooks.queue(public(each), delay=delay)
        return [each["id"] for each in events]

    def set_delivery(self, mode: str) -> None:
        """`normal`, `hold`, `double`, `reverse` (within one request or moment) or `drop`."""
        self.webhooks.set_mode(mode)

    def wait(self, seconds: float = 30) -> None:
        """Return when every pending delivery is done."""
        self.webhooks.wait(seconds)

    # Trouble

    def fail_next(self, times: int = 1, *, status: int = 500, path: str = "/v1/", after: bool = False) -> None:
        """Make the next answers under `path` fail: an HTTP status, or 0 to hang up; `after` the request took effect."""
        self.faults.append(Fault(times, status, path, after))

    def slow_down(self, seconds: float, path: str = "/v1/") -> None:
        """From now on, answer every request under `path` this many seconds later."""
        self.delays[path] = seconds

    def object(self, id: str) -> dict[str, Any]:
        """Any object as the API would show it."""
        with self.world.transaction():
            return public(self.world.objects[id])
