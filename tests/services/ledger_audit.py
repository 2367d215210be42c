"""Runs inside a deployment (`Deployment.call`): creates accounts, and compares every figure with the ledger.

It counts independently, row by row, and shares nothing with the product's bookkeeping.
"""

import json
import os
import sys
import uuid
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import django

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()

from accounts.models import ApiKey, ApiKeyMonth, User
from billing.credits import ledger
from billing.credits.prices import as_number
from billing.credits.reconciliation import reconcile
from billing.models import Account, Bucket, Hold, LedgerEntry, MonthlyUsage, Plan, Price, UsageWindow
from lib.ops.database import give_back
from tests.sessions import token_of

MANY = 1_000_000


def open_account(
    *, included: int, prepaid: int = 0, per_minute: int = MANY, at_once: int = MANY, free_previews: int = 0
) -> dict[str, Any]:
    """A verified customer on their own plan: key, e-mail address and public id."""
    name = uuid.uuid4().hex
    plan = Plan.objects.create(
        label=name, included_credits=included, requests_per_minute=per_minute, concurrent_requests=at_once,
        free_previews=free_previews,
    )  # fmt: skip
    user = User.objects.create_user(f"{name}@example.com")
    user.verify_email()
    account = ledger.get_account(user)
    ledger.change_plan(account, plan)
    if prepaid:
        ledger.grant_prepaid(account, prepaid, reference=name)
    return {"key": ApiKey.objects.issue(user, name="test")[1].text, "email": user.email, "uid": user.public_id}


def forget_verification(email: str) -> None:
    """The customer has changed the address but not yet followed the mail's link."""
    User.objects.filter(email=email).update(email_verified_at=None)


def mint_user_token(email: str) -> str:
    """A token for a session of the web app."""
    return token_of(User.objects.get(email=email))


def start_cycle(email: str) -> dict[str, int]:
    """Stripe makes a billing cycle current; return its documented bounds."""
    account = ledger.get_account(User.objects.get(email=email))
    start = datetime.now(UTC).replace(microsecond=0) - timedelta(days=3)
    window = ledger.renew(account, account.plan, start, start + timedelta(days=30))
    return {"start": int(window.start.timestamp()), "end": int(window.end.timestamp()) - 1}


def set_price(operation: str, hundredths: int) -> None:
    """Staff change a price."""
    Price.objects.update_or_create(kind=Price.Kind.OPERATION, name=operation, defaults={"hundredths": hundredths})


def sweep() -> int:
    """Void what killed processes left behind."""
    return ledger.void_stale(timedelta(0))


def read(email: str, audited: Iterable[Account] | None = None) -> dict[str, Any]:
    """An account's holds by state and its balances, with every discrepancy anywhere."""
    account = Account.objects.get(user__email=email)
    states = Counter(Hold.objects.filter(account=account).values_list("state", flat=True))
    kinds = Counter(LedgerEntry.objects.filter(account=account).values_list("kind", flat=True))
    return {
        "states": states,
        "kinds": kinds,
        "prepaid": as_number(account.prepaid),
        "included": as_number(sum(row.left for row in account.windows.all())),
        "key_used": as_number(sum(row.spent for row in ApiKeyMonth.objects.filter(key__user=account.user))),
        "free_previews": sum(row.free_previews for row in MonthlyUsage.objects.filter(account=account)),
        "differences": differences(audited),
        # The product's own proof of the same.
        "reconciled": [str(difference) for difference in reconcile(account)],
    }


def read_one(email: str) -> dict[str, Any]:
    """The same for one account alone, with the discrepancies in it, and the number of its spent holds by price."""
    account = Account.objects.get(user__email=email)
    posted = Hold.objects.filter(account=account, state=Hold.State.POSTED)
    return read(email, [account]) | {"prices": Counter(posted.values_list("price", flat=True))}


def differences(accounts: Iterable[Account] | None = None) -> list[str]:
    """One line for each figure of these accounts, or of any, that its rows do not prove."""
    lines = []
    for account in Account.objects.all() if accounts is None else accounts:
        proof = _Proof(account)
        reported = proof.reported()
        proven = proof.proven()
        lines += [
            f"{name}: {reported[name]} reported, {proven[name]} proven"
            for name in reported
            if reported[name] != proven[name]
        ]
        lines += [f"hold {hold.pk}: {hold.state}" for hold in proof.holds if not proof.is_recorded(hold)]
    return lines


class _Proof:
    """The figures of one account, as reported by its counters and as proven by holds and ledger."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.holds = list(Hold.objects.filter(account=account))
        self.entries = list(LedgerEntry.objects.filter(account=account))

    def reported(self) -> dict[str, int]:
        windows = {
            f"window {row.pk} {name}": value
            for row in UsageWindow.objects.filter(account=self.account)
            for name, value in (
                ("app used", row.used_by_app), ("api used", row.used_by_api), ("held", row.on_hold),
                ("ledger held", row.on_hold), ("free", row.left),
            )
        }  # fmt: skip
        months = {
            f"month {row.month} {channel}": value
            for row in MonthlyUsage.objects.filter(account=self.account)
            for channel, value in (("app", row.used_by_app), ("api", row.used_by_api), ("free", row.free_previews))
        }
        keys = {
            f"key {row.key_id} {row.month} {state}": value
            for row in ApiKeyMonth.objects.filter(key__user=self.account.user)
            for state, value in (("posted", row.spent), ("held", row.on_hold))
        }
        return {f"prepaid of {self.account}": self.account.prepaid, **windows, **months, **keys}

    def proven(self) -> Counter[str]:
        proven: Counter[str] = Counter()
        for entry in self.entries:
            if entry.bucket == Bucket.PREPAID:
                proven[f"prepaid of {self.account}"] += entry.of_available
            else:
                proven[f"window {entry.window_id} free"] += entry.of_available
                proven[f"window {entry.window_id} ledger held"] += entry.of_held
        for hold in self.holds:
            included = hold.price - hold.topped_up if hold.bucket == Bucket.INCLUDED else 0
            if hold.key_id is not None:
                proven[f"key {hold.key_id} {hold.month} {hold.state}"] += hold.price
            if hold.state == Hold.State.POSTED:
                proven[f"window {hold.window_id} {hold.channel} used"] += included
                proven[f"month {hold.month} {hold.channel}"] += included
            if hold.state == Hold.State.HELD:
                proven[f"window {hold.window_id} held"] += included
            if hold.state != Hold.State.VOIDED:
                proven[f"month {hold.month} free"] += hold.is_free
        return proven

    def is_recorded(self, hold: Hold) -> bool:
        """Whether the ledger has exactly the rows that the hold's state requires, of its price."""
        rows = [entry for entry in self.entries if entry.hold_id == hold.pk]
        kinds = Counter(entry.kind for entry in rows)
        buckets = 2 if hold.topped_up else 1
        wanted = {"held": ["hold"], "posted": ["hold", "post"], "voided": ["hold", "void"]}[hold.state]
        held = hold.price if hold.state == Hold.State.HELD else 0
        taken = 0 if hold.state == Hold.State.VOIDED else -hold.price
        sums = sum(entry.of_held for entry in rows), sum(entry.of_available for entry in rows)
        return kinds == dict.fromkeys(wanted, buckets) and sums == (held, taken)


def serve() -> None:
    """Answer calls, one a line: `[name, arguments]` in, the value out, both JSON."""
    for line in sys.stdin:
        name, arguments = json.loads(line)
        try:
            print(json.dumps(globals()[name](**arguments)), flush=True)  # noqa: T201 - the answer
        finally:
            give_back()


if __name__ == "__main__":
    serve()
