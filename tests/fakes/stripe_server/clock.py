"""The clock: runs everything that falls due until a time, in order, each at its due time."""

from collections.abc import Callable, Iterator

from tests.fakes.stripe_server import checkout, invoicing, subscriptions
from tests.fakes.stripe_server.errors import Refused
from tests.fakes.stripe_server.world import Obj, World

Due = tuple[int, Callable[[], object]]


def advance(world: World, moment: int) -> int:
    """Move the time forward; returns how many renewals, retries and expiries it ran."""
    if moment < world.now:
        raise Refused("The clock can only move forward.", param="advance_to")
    ran = 0
    while True:
        with world.transaction():
            due = min(_due(world), key=lambda one: one[0], default=None)
            if due is None or due[0] > moment:
                world.set_now(moment)
                return ran
            world.set_now(max(due[0], world.now))
            due[1]()
            ran += 1


def _due(world: World) -> Iterator[Due]:
    for subscription in world.all("subscription"):
        if subscription["status"] in ("active", "past_due", "trialing", "unpaid"):
            yield subscriptions.period_of(subscription)[1], _call(subscriptions.renew, world, subscription)
    for invoice in world.all("invoice", status="open"):
        if invoice["next_payment_attempt"]:
            yield invoice["next_payment_attempt"], _call(invoicing.collect, world, invoice)
    for session in world.all("checkout.session", status="open"):
        yield session["expires_at"], _call(lambda world, found: checkout.expire(world, {}, found["id"]), world, session)


def _call(action: Callable[[World, Obj], object], world: World, obj: Obj) -> Callable[[], object]:
    return lambda: action(world, obj)
