"""Holds that take prepaid credits while the same account's rows are locked by others: nothing deadlocks, no credit is lost.

At COMMIT PostgreSQL checks the foreign keys of a new hold. That locks the rows it refers to, outside the ledger's order.
"""

import ast
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from accounts.models import ApiKey
from billing.credits import ledger
from billing.credits.reconciliation import reconcile
from billing.credits.windows import get_window
from billing.models import Plan
from tests.services import ledger_audit

ROOT = Path(__file__).resolve().parents[3]
# PostgreSQL looks for deadlocks after one second of waiting.
SECONDS = 1.4


@pytest.fixture
def account(user):
    """An account that has used up what its plan includes, so that every hold takes a prepaid credit."""
    account = ledger.get_account(user)
    ledger.change_plan(account, _plan(0))
    ledger.grant_prepaid(account, 100_000, reference="test")
    return account


def _plan(included: int) -> Plan:
    return Plan.objects.create(
        label=uuid.uuid4().hex, included_credits=included, requests_per_minute=1000, concurrent_requests=1000
    )


def _hold_and_post(account, key):
    ledger.post(ledger.hold(account, channel="api", key=key, request_id=str(uuid.uuid4())))


def _hold_batch(account):
    until = timezone.now() + timedelta(hours=1)
    ids = [str(uuid.uuid4()) for _ in range(5)]
    ledger.void_many([held.pk for held in ledger.hold_many(account, ids, channel="app", key=None, until=until)])


def _change_plan(account):
    """Two plans, neither of which includes a credit: the window is locked each time."""
    ledger.change_plan(account, Plan.objects.filter(included_credits=0).order_by("?")[0])


def _upgrade(account):
    ledger.upgrade(account, Plan.objects.filter(included_credits=0)[0], get_window(account, timezone.now()))


def _reconcile(account):
    assert reconcile(account) == []


def _repeat(act: Callable[[], None], until: float, done: Counter[str], name: str) -> None:
    """Call `act` repeatedly; count its successes under `name`, and its failures by their first line."""
    try:
        while time.monotonic() < until:
            try:
                act()
                done[name] += 1
            except OperationalError as error:
                done[str(error).splitlines()[0]] += 1
    finally:
        connection.close()


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite has one lock; `make test-postgres` runs this")
@pytest.mark.parametrize("other", [_hold_batch, _change_plan, _upgrade, _reconcile])
def test_holds_of_prepaid_credits_do_not_deadlock(account, other):
    # Calls with one key wait for each other at the key's own row.
    keys = [ApiKey.objects.issue(account.user, name=str(number))[0] for number in range(2)]
    _hold_and_post(account, keys[0])
    until = time.monotonic() + SECONDS
    done: Counter[str] = Counter()
    acts: list[tuple[str, Callable[[], None]]] = [
        *(("hold", lambda key=key: _hold_and_post(ledger.get_account(account.user), key)) for key in keys),
        *(("other", lambda: other(ledger.get_account(account.user))) for _ in range(2)),
    ]
    threads = [threading.Thread(target=_repeat, args=(act, until, done, name)) for name, act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(done) == {"hold", "other"}, done
    assert ledger_audit.differences() == []
    account.refresh_from_db()
    assert account.prepaid_balance == 100_000 - 1 - done["hold"]


def test_no_row_is_locked_for_a_change_of_its_key():
    """A plain `select_for_update()` deadlocks with the foreign key check of any row that refers to what it locks."""
    plain = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for app in ("config", "accounts", "billing", "imaging")
        for path in (ROOT / app).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "select_for_update"
        and "no_key=True" not in {ast.unparse(keyword) for keyword in node.keywords}
    ]
    assert plain == []
