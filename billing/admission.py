"""What a paid request asks of billing: may it run, and then post it or void it. The caller's view knows no more."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from accounts.caller import Caller
from accounts.models import User
from billing import anonymous, ledger
from billing.models import Account
from config import rate_limits
from config.rate_limits import Policy


@dataclass(frozen=True, slots=True)
class Customer:
    """A caller together with the limits that apply to it. `account` is None for an anonymous caller."""

    caller: Caller
    account: Account | None
    policy: Policy

    def rate_limit_headers(self) -> dict[str, str]:
        """`RateLimit` and `RateLimit-Policy` as they stand now."""
        states = rate_limits.states(self.policy)
        if self.account is None:
            today = anonymous.allowance(self.caller.address)
            states.append(rate_limits.State("day", today.limit, 86_400, today.remaining, today.seconds_to_reset))
        return rate_limits.headers(states)


def find_customer(caller: Caller) -> Customer:
    """The account and limits of a caller."""
    if isinstance(caller.user, User):
        account = ledger.get_account(caller.user)
        plan = account.plan
        subject = f"account:{account.pk}"
        return Customer(caller, account, Policy(subject, plan.requests_per_minute, plan.concurrent_requests))
    return Customer(caller, None, rate_limits.anonymous_policy(caller.address))


@contextmanager
def charged(customer: Customer, request_id: str) -> Iterator[int]:
    """Hold one credit for the block and post it at its end; void it if the block raises anything at all.

    Yields the credits that the block costs: 1, or 0 for an anonymous caller, whose daily allowance is used instead.
    Raises ApiError 429 before the block when nothing is left.
    """
    caller = customer.caller
    if customer.account is None:
        usage = anonymous.take(caller.address)
        try:
            yield 0
        except BaseException:
            anonymous.give_back(usage)
            raise
        return
    held = ledger.hold(customer.account, channel=caller.channel, key=caller.key, request_id=request_id)
    try:
        yield 1
    except BaseException:
        ledger.void(held)
        raise
    ledger.post(held)
