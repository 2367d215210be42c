"""Concurrent holds, posts, voids, sweeps and refunds of one account, each on a separate connection."""

import contextlib
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models import Sum
from django.utils import timezone

from billing.credits import due, ledger
from billing.credits.reconciliation import reconcile
from billing.credits.refusals import HoldExpired, MonthlyLimitReached, NotEnoughCredits
from billing.models import Account, Bucket, Hold, LedgerEntry, Plan

pytestmark = [
    pytest.mark.django_db(transaction=True, serialized_rollback=True),
    # SQLite's test database lives in memory, where threads share one cache and get "table is locked" instead of waiting.
    pytest.mark.skipif(connection.vendor == "sqlite", reason="`make test-postgres` runs this"),
]
WORKERS, ROUNDS, GRANTED = 6, 15, 200


@pytest.fixture
def prepaid(account: Account) -> Account:
    """200 prepaid credits and no included ones."""
    Plan.objects.filter(label=ledger.FREE_PLAN).update(included_credits=0)
    ledger.grant_prepaid(account, GRANTED, reference="pack")
    return ledger.get_account(account.user)


def at_once(*acts: Callable[[], int]) -> list[int]:
    """Call all of them at the same time."""

    def run(act: Callable[[], int]) -> int:
        try:
            return act()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(run, acts))


def taken_back() -> int:
    return -(LedgerEntry.objects.filter(kind="refund").aggregate(total=Sum("available"))["total"] or 0)


def work(account: Account, seed: int) -> int:
    """Run requests and batches one after the other. Returns how many images were delivered."""
    moments, delivered = random.Random(seed), 0  # noqa: S311 - no secret
    for number in range(ROUNDS):
        count = 4 if moments.random() < 0.3 else 1
        for one in take(account, [f"{seed}/{number}/{each}" for each in range(count)]):
            if moments.random() < 0.5:
                ledger.void(one)
            else:
                delivered += spend(one)
    return delivered


def take(account: Account, ids: list[str]) -> list[Hold]:
    """A request's hold or a batch's; none when no credit is left."""
    with contextlib.suppress(MonthlyLimitReached, NotEnoughCredits):
        if len(ids) > 1:
            return ledger.hold_many(account, ids, channel="api", key=None, until=timezone.now())
        return [ledger.hold(account, channel="api", key=None, request_id=ids[0])]
    return []


def spend(held: Hold) -> bool:
    """Deliver: with this credit, with another, or not at all."""
    try:
        return ledger.post(held) or bool(ledger.hold_again(held))
    except HoldExpired:
        return False


def test_no_credit_is_lost_or_given_away_in_any_interleaving(prepaid):
    ended: list[int] = []

    def worker(seed: int) -> int:
        try:
            return work(prepaid, seed)
        finally:
            ended.append(seed)

    def sweep() -> int:
        while len(ended) < WORKERS:
            ledger.void_stale(timedelta(0))
        return 0

    def refund() -> int:
        for number in range(15):
            ledger.refund_prepaid(prepaid, 10, reference=f"refund:{number}")
        return 0

    workers = [lambda seed=seed: worker(seed) for seed in range(WORKERS)]
    delivered = sum(at_once(*workers, sweep, refund, refund))
    ledger.void_many(list(Hold.objects.filter(state="held").values_list("pk", flat=True)))
    prepaid.refresh_from_db()
    assert Hold.objects.filter(state="posted").count() == delivered
    assert prepaid.prepaid_balance + delivered + taken_back() == GRANTED
    assert taken_back() == min(150, GRANTED - delivered)
    assert not due.outstanding(prepaid)
    assert reconcile(prepaid) == []
    assert not LedgerEntry.objects.filter(bucket=Bucket.INCLUDED).exclude(kind="renew").exists()


def test_one_refund_that_is_reported_many_times_at_once_is_one(prepaid):
    held = [ledger.hold(prepaid, channel="api", key=None, request_id=str(number)) for number in range(20)]
    cancel = [lambda one=one: ledger.void(one) for one in held]
    refunds = [lambda: ledger.refund_prepaid(prepaid, GRANTED, reference="refund")] * 4
    at_once(*refunds, *cancel)
    prepaid.refresh_from_db()
    assert (prepaid.prepaid_balance, taken_back()) == (0, GRANTED)
