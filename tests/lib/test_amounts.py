"""Amounts in hundredths, in two columns: any change gives what one integer would, and no part leaves its range."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accounts.models import User
from billing.credits import ledger
from billing.models import Account, LedgerEntry, UsageWindow
from lib.amounts import Amount, plus_parameters
from lib.sql import execute

HUNDREDTHS = st.integers(-(10**9), 10**9)
quick = settings(derandomize=True, deadline=None, database=None)


@pytest.fixture
def account(user: User) -> Account:
    return ledger.get_account(user)


@quick
@given(HUNDREDTHS, st.booleans())
def test_an_amount_is_split_to_the_safe_side(hundredths, up):
    whole, part = Amount("held", up=up).columns(hundredths).values()
    assert 100 * whole + part == hundredths
    assert -100 < part <= 0 if up else 0 <= part < 100


@pytest.mark.parametrize("amount", [UsageWindow.on_hold, Account.prepaid], ids=["up", "down"])
@pytest.mark.parametrize("how", ["queryset", "sql"])
def test_changes_add_up_like_integers(account, amount, how):
    row = account if amount is Account.prepaid else UsageWindow.objects.create(
        account=account, kind="month", start="2026-01-01T00:00Z", end="2026-02-01T00:00Z", allowance=1
    )  # fmt: skip
    total = 0
    for change in (25, 100, 63, -50, 12, 350, -500, 1, 99, -100, 2_000_000_000, -1_999_999_999):
        if how == "sql":
            table = type(row)._meta.db_table
            execute(f"UPDATE {table} SET {amount.plus_sql} WHERE id = %s", *plus_parameters(change), row.pk)  # noqa: S608
        else:
            type(row).objects.filter(pk=row.pk).update(**amount.plus(change))
        total += change
        row.refresh_from_db()
        assert amount.fget(row) == total
        assert amount.columns(total) == {amount.whole: getattr(row, amount.whole), amount.part: getattr(row, amount.part)}
        assert type(row).objects.annotate(now=amount.total).get(pk=row.pk).now == total


def test_a_sum_is_of_both_columns(account):
    assert LedgerEntry.objects.filter(account=account).aggregate(sum=LedgerEntry.of_available.sum())["sum"] == 0
    for number, amount in enumerate((-25, 100, -63)):
        LedgerEntry.objects.create(
            account=account,
            kind="adjust",
            bucket="prepaid",
            reference=str(number),
            **LedgerEntry.of_available.columns(amount),
        )
    assert LedgerEntry.objects.aggregate(sum=LedgerEntry.of_available.sum())["sum"] == 12
