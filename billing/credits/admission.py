"""Billing for a paid request: decide whether it may run, then post or void its credit. Views need nothing else."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from django.db import DatabaseError, InterfaceError

from accounts.caller import Caller
from accounts.models import User
from billing.credits import anonymous, idempotency, ledger
from billing.credits.idempotency import Retry
from billing.credits.prices import IMAGE, PREVIEW, get_price
from billing.credits.running_holds import running
from billing.metrics import count
from billing.models import Account, Hold
from lib.web import rate_limits
from lib.web.rate_limits import Policy

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Customer:
    """A caller together with the limits that apply to it. `account` is None for an anonymous caller."""

    caller: Caller
    account: Account | None
    policy: Policy

    def rate_limit_headers(self) -> dict[str, str]:
        """The current `RateLimit` and `RateLimit-Policy` headers."""
        states = rate_limits.states(self.policy)
        if self.account is None:
            today = anonymous.allowance(self.caller.address)
            states.append(rate_limits.State("day", today.limit, 86_400, today.remaining, today.seconds_to_reset))
        return rate_limits.headers(states)


def subject_of(account_id: int) -> str:
    """The key under which an account's limits are counted."""
    return f"account:{account_id}"


def get_customer(caller: Caller) -> Customer:
    """Return a caller with its account and limits."""
    if isinstance(caller.user, User):
        account = ledger.get_account(caller.user)
        return Customer(caller, account, account_policy(account))
    return Customer(caller, None, rate_limits.anonymous_policy(caller.address))


def account_policy(account: Account) -> Policy:
    """The limits that an account's plan sets."""
    plan = account.plan
    failures = rate_limits.FAILURES_PER_REQUEST * plan.requests_per_minute
    return Policy(subject_of(account.pk), plan.requests_per_minute, plan.concurrent_requests, failures)


@contextmanager
def charged(
    customer: Customer, request_id: str, retry: Retry | None = None, *, operation: str = IMAGE, model: str = ""
) -> Iterator[int]:
    """Hold the price of an operation for the block and post it at the end; void it if the block raises anything.

    `operation` is `prices.IMAGE` or `prices.PREVIEW`, `model` the name of the model that does it, with or without a version.
    A preview through the API costs nothing while the month's free previews of the caller's plan last.

    The hold is renewed while the block runs. If it is voided anyway, another is made and posted in its place.

    Yields what the block costs in hundredths of a credit: 0 for an anonymous caller, who uses the daily allowance instead,
    for the retry of a request that was already delivered, and for a free preview. Before the block, raises what
    `anonymous.take`, `ledger.hold` or `idempotency.hold_once` raises; after it, HoldExpired when its hold was voided and no
    credits are left.
    """
    if customer.account is None:
        with _allowed(customer.caller.address):
            yield 0
        return
    held = _hold(customer.account, customer.caller, request_id, retry, operation, model)
    if held is None:
        with _replayed(customer.account, retry):
            yield 0
        return
    count(held.price, "held")
    with running.kept(held):
        try:
            yield held.price
        except BaseException:
            _void(held)
            raise
        _post(held, retry)
    count(held.price, "posted")


def _post(held: Hold, retry: Retry | None) -> None:
    if ledger.post(held):
        return
    if retry is None:
        ledger.hold_again(held)
    else:
        idempotency.hold_again(held, retry)
    count(held.price, "held")


def _void(held: Hold) -> None:
    """Return the price. If the database is down, the sweep voids the hold later, and the caller sees the original error."""
    try:
        if ledger.void(held):
            count(held.price, "voided")
    except (DatabaseError, InterfaceError) as error:
        logger.warning("a hold is left to the sweep", extra={"hold": str(held.pk), "reason": str(error).strip()})


def _hold(account: Account, caller: Caller, request_id: str, retry: Retry | None, operation: str, model: str) -> Hold | None:
    hold = partial(
        ledger.hold, account, channel=caller.channel, key=caller.key, request_id=request_id,
        price=get_price(operation, model), may_be_free=operation == PREVIEW and caller.channel == "api",
    )  # fmt: skip
    return hold() if retry is None else idempotency.hold_once(account, retry, caller.key, hold)


@contextmanager
def _replayed(account: Account, retry: Retry | None) -> Iterator[None]:
    try:
        yield
    except BaseException:
        if retry is not None:
            idempotency.give_back(account, retry)
        raise


@contextmanager
def _allowed(address: str) -> Iterator[None]:
    usage = anonymous.take(address)
    try:
        yield
    except BaseException:
        try:
            anonymous.give_back(usage)
        except (DatabaseError, InterfaceError) as error:
            logger.warning("an image of an anonymous caller stays counted", extra={"reason": str(error).strip()})
        raise
