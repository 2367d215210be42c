"""Webhook delivery: signed events, in order or not, once or not, with a few retries."""

import hashlib
import hmac
import json
import threading
import time
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlsplit

ATTEMPTS = 3
ATTEMPT_SECONDS = 30
RETRY_PAUSE_SECONDS = 0.05
MODES = ("normal", "hold", "double", "reverse", "drop")


def sign(payload: bytes, secret: str, at: int | None = None) -> str:
    """The `Stripe-Signature` of a body; `at` is a Unix time, by default the current one."""
    moment = int(time.time()) if at is None else at
    digest = hmac.new(secret.encode(), f"{moment}.".encode() + payload, hashlib.sha256).hexdigest()
    return f"t={moment},v1={digest}"


def payload_of(event: dict[str, Any]) -> bytes:
    """An event as Stripe sends it: indented JSON."""
    return json.dumps(event, indent=2).encode()


@dataclass
class Delivery:
    """One event on its way; `statuses` are the answers so far, 0 for none at all."""

    event: dict[str, Any]
    due: float
    statuses: list[int] = field(default_factory=list)
    done: bool = False


class Webhooks:
    """Posts events from one separate thread, so that deliveries keep the order they are queued in."""

    def __init__(self, url: str | None, secret: str) -> None:
        self.url = url
        self.secret = secret
        self.mode = "normal"
        self.deliveries: list[Delivery] = []
        self._held: list[dict[str, Any]] = []
        self._pending: list[Delivery] = []
        self._changed = threading.Condition()
        self._stopping = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start to deliver."""
        self._stopping = False
        self._thread = threading.Thread(target=self._work, name="stripe-webhooks", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Finish the delivery under way and drop the others."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread:
            self._thread.join(ATTEMPT_SECONDS)

    def set_mode(self, mode: str) -> None:
        """How events are sent from now on; leaving `hold` sends the held ones in the new mode."""
        if mode not in MODES:
            raise ValueError(f"mode must be one of {', '.join(MODES)}")
        with self._changed:
            self.mode = mode
            held, self._held = self._held, []
        self.publish(held)

    def publish(self, events: list[dict[str, Any]]) -> None:
        """Send the events of one request or of one moment of the clock, according to the mode."""
        if self.mode == "hold":
            self._held.extend(events)
        elif self.mode != "drop":
            ordered = events[::-1] if self.mode == "reverse" else events
            for event in ordered:
                self.queue(event, times=2 if self.mode == "double" else 1)

    def queue(self, event: dict[str, Any], *, times: int = 1, delay: float = 0) -> None:
        """Send one event in any mode, `delay` seconds from now."""
        if self.url is None:
            return
        with self._changed:
            new = [Delivery(event, time.monotonic() + delay) for _ in range(times)]
            self._pending.extend(new)
            self.deliveries.extend(new)
            self._changed.notify_all()

    def wait(self, seconds: float = 30) -> None:
        """Return once everything queued has been sent; raises `TimeoutError` otherwise."""
        with self._changed:
            if not self._changed.wait_for(lambda: all(one.done for one in self.deliveries), seconds):
                raise TimeoutError("webhooks are still being delivered")

    def _work(self) -> None:
        while (delivery := self._next()) is not None:
            for _ in range(ATTEMPTS):
                delivery.statuses.append(self._post(delivery.event))
                if 200 <= delivery.statuses[-1] < 300 or self._stopping:
                    break
                time.sleep(RETRY_PAUSE_SECONDS)
            with self._changed:
                delivery.done = True
                self._changed.notify_all()

    def _next(self) -> Delivery | None:
        with self._changed:
            while not self._stopping:
                first = min(self._pending, key=lambda delivery: delivery.due, default=None)
                if first and first.due <= time.monotonic():
                    self._pending.remove(first)
                    return first
                self._changed.wait(first.due - time.monotonic() if first else None)
        return None

    def _post(self, event: dict[str, Any]) -> int:
        body = payload_of(event)
        headers = {"Content-Type": "application/json; charset=utf-8", "Stripe-Signature": sign(body, self.secret)}
        address = urlsplit(self.url or "")
        connection = HTTPConnection(address.hostname or "", address.port, timeout=ATTEMPT_SECONDS)
        try:
            connection.request("POST", address.path or "/", body, headers)
            return connection.getresponse().status
        except (OSError, HTTPException):
            return 0
        finally:
            connection.close()
