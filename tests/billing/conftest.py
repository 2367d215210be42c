"""Accounts and moments for billing's tests."""

from datetime import UTC, datetime

import pytest

from accounts.models import User
from billing import ledger
from billing.models import Account, UsageWindow


@pytest.fixture
def account(user: User) -> Account:
    """The account of the customer, on the free plan."""
    return ledger.get_account(user)


def moment(text: str) -> datetime:
    """A moment in UTC, such as `2026-02-25 00:00`."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def spend(account: Account, *, api: int = 0, app: int = 0) -> None:
    """Post so many credits of each channel."""
    for channel, count in (("api", api), ("app", app)):
        for _ in range(count):
            ledger.post(ledger.hold(account, channel=channel, key=None, request_id="test-request"))


def current_window(account: Account) -> UsageWindow:
    """The newest window, read anew."""
    return UsageWindow.objects.filter(account=account).latest("start")
