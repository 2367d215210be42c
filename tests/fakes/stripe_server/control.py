"""`/_control/`: what `StripeFake`'s methods do, over HTTP with JSON bodies, for a server in a separate process."""

import inspect
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from tests.fakes.stripe_server.errors import Refused
from tests.fakes.stripe_server.fake import StripeFake


def _clock(fake: StripeFake, advance_to: int) -> Any:
    return {"ran": fake.advance(advance_to), "now": fake.now}


def _card(fake: StripeFake, customer: str, fails: bool) -> Any:
    return fake.set_card(customer, fails)


def _async(fake: StripeFake, session: str, succeed: bool) -> Any:
    return fake.resolve_async(session, succeed)


def _pay(fake: StripeFake, session: str, later: bool = False) -> Any:
    return fake.pay(session, later=later)


def _refund(fake: StripeFake, charge: str, amount: int | None = None) -> Any:
    return fake.refund(charge, amount)


def _dispute(fake: StripeFake, charge: str, status: str) -> Any:
    return fake.dispute(charge, status)


def _deliver(fake: StripeFake, event: str, times: int = 1, new_id: bool = False, delay: float = 0) -> Any:
    return {"events": fake.deliver(event, times, new_id=new_id, delay=delay)}


def _mode(fake: StripeFake, delivery: str) -> Any:
    try:
        return fake.set_delivery(delivery)
    except ValueError as error:
        raise Refused(str(error), param="delivery") from error


def _fail(fake: StripeFake, times: int = 1, status: int = 500, path: str = "/v1/", after: bool = False) -> Any:
    return fake.fail_next(times, status=status, path=path, after=after)


def _slow(fake: StripeFake, seconds: float, path: str = "/v1/") -> Any:
    return fake.slow_down(seconds, path)


def _wait(fake: StripeFake, seconds: float = 30) -> Any:
    return fake.wait(seconds)


def _now(fake: StripeFake) -> Any:
    return {"now": fake.now}


def _events(fake: StripeFake) -> Any:
    return {"data": fake.events()}


def _deliveries(fake: StripeFake) -> Any:
    deliveries = list(fake.webhooks.deliveries)
    return {
        "data": [
            {"event": one.event["id"], "type": one.event["type"], "statuses": one.statuses, "done": one.done}
            for one in deliveries
        ]
    }


def _requests(fake: StripeFake) -> Any:
    return {"data": [asdict(request) for request in list(fake.requests)]}


COMMANDS: dict[tuple[str, str], Callable[..., Any]] = {
    ("POST", "clock"): _clock,
    ("POST", "card"): _card,
    ("POST", "async"): _async,
    ("POST", "pay"): _pay,
    ("POST", "refund"): _refund,
    ("POST", "dispute"): _dispute,
    ("POST", "deliver"): _deliver,
    ("POST", "mode"): _mode,
    ("POST", "fail"): _fail,
    ("POST", "slow"): _slow,
    ("POST", "wait"): _wait,
    ("GET", "clock"): _now,
    ("GET", "events"): _events,
    ("GET", "deliveries"): _deliveries,
    ("GET", "requests"): _requests,
}


def call(fake: StripeFake, method: str, name: str, arguments: dict[str, Any]) -> Any:
    """Run one command; raises `Refused` for an unknown command or wrong arguments."""
    command = COMMANDS.get((method, name))
    if command is None:
        raise Refused(f"No such command: {method} {name}", status=404)
    try:
        inspect.signature(command).bind(fake, **arguments)
    except TypeError as error:
        raise Refused(str(error)) from error
    return command(fake, **arguments) or {}
