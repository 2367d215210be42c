"""Any sequence of events of an account, compared with a model of a few numbers, all in hundredths of a credit."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import transaction
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from accounts.models import ApiKey, ApiKeyMonth, User
from billing.credits import due, ledger
from billing.credits.reconciliation import reconcile
from billing.credits.refusals import BalanceTooLow, HoldExpired, MonthlyLimitReached, NotEnoughCredits
from billing.credits.windows import month_bounds, month_of
from billing.models import Account, Bucket, Hold, LedgerEntry, MonthlyUsage, Plan, UsageWindow

CREDITS = st.integers(1, 4)
# An image, a preview, and what models make of them.
PRICES = st.sampled_from([100, 100, 25, 25, 63, 250])
PLANS = {"none": 0, "tiny": 1, "small": 3, "large": 6}
FREE_PREVIEWS = 2
CHANNELS = st.sampled_from(["api", "app"])


@dataclass
class Window:
    """A window as the model knows it."""

    allowance: int
    used: int = 0
    held: int = 0

    @property
    def free(self) -> int:
        return self.allowance - self.used - self.held


@dataclass
class Open:
    """A hold that is open, with what it took of each bucket; `at` orders it among all holds and refunds."""

    held: Hold
    window: str
    included: int
    prepaid: int
    at: int


@dataclass
class Due:
    """What a refund could not take because it was on hold."""

    at: int
    amount: int


class Credits(RuleBasedStateMachine):
    """The model: windows with three numbers each, one prepaid balance, the open holds, and what refunds are owed."""

    def __init__(self) -> None:
        super().__init__()
        # Each example has a separate transaction, which teardown rolls back.
        self.example = transaction.atomic()
        self.example.__enter__()
        for label, included in PLANS.items():
            Plan.objects.get_or_create(label=label, included_credits=included, requests_per_minute=1, concurrent_requests=1)
        Plan.objects.filter(label=ledger.FREE_PLAN).update(included_credits=2)
        Plan.objects.update(free_previews=FREE_PREVIEWS)
        self.staff = User.objects.create_user("staff@example.com")
        user = User.objects.create_user("customer@example.com")
        self.key, _ = ApiKey.objects.issue(user, name="test")
        self.account = ledger.get_account(user)
        self.plan = 200
        self.free = 0
        self.windows: dict[str, Window] = {}
        self.current = "month"
        self.cycles = 0
        self.prepaid = self.prepaid_held = self.prepaid_used = 0
        self.references: set[str] = set()
        self.holds: list[Open] = []
        self.settled: list[Hold] = []
        # Voided by the sweep while their requests still run.
        self.lost: list[Hold] = []
        self.due: list[Due] = []
        self.moves = 0
        self.start_of_month = month_bounds(month_of(datetime.now(UTC)))[0]
        self.ends = 0

    def window(self) -> Window:
        """The window that limits; created on first use, as in the product."""
        return self.windows.setdefault(self.current, Window(self.plan))

    def reload(self) -> Account:
        """The account as the next request would read it."""
        self.account = ledger.get_account(User.objects.get(email="customer@example.com"))
        return self.account

    def take(self, price: int) -> tuple[int, int] | None:
        """What a hold takes of each bucket: of one if that suffices, else of both; None if that is too little."""
        free = max(0, self.window().free)
        if free >= price:
            return price, 0
        if self.prepaid >= price:
            return 0, price
        return (free, price - free) if free and free + self.prepaid >= price else None

    def opened(self, held: Hold, included: int, prepaid: int) -> None:
        """A hold was made."""
        self.moves += 1
        assert (held.from_included, held.from_prepaid) == (included, prepaid)
        self.holds.append(Open(held, self.current, included, prepaid, self.moves))
        self.window().held += included
        self.free += held.is_free
        self.prepaid, self.prepaid_held = self.prepaid - prepaid, self.prepaid_held + prepaid

    def spent(self, one: Open) -> None:
        """A hold was posted."""
        self.settled.append(one.held)
        self.windows[one.window].held -= one.included
        self.windows[one.window].used += one.included
        self.prepaid_held, self.prepaid_used = self.prepaid_held - one.prepaid, self.prepaid_used + one.prepaid

    def freed(self, one: Open) -> None:
        """A hold was voided: later refunds that are short of credits get what was prepaid of it."""
        self.windows[one.window].held -= one.included
        self.free -= one.held.is_free
        self.prepaid_held -= one.prepaid
        left = one.prepaid
        for owed in (owed for owed in self.due if owed.at > one.at):
            share = min(left, owed.amount)
            owed.amount, left = owed.amount - share, left - share
        self.prepaid += left

    @rule(channel=CHANNELS, price=PRICES, is_preview=st.booleans())
    def hold(self, channel: str, price: int, is_preview: bool) -> None:
        known = self.current in self.windows
        self.window()
        account = self.reload()
        asked: dict[str, Any] = {
            "channel": channel, "key": self.key if channel == "api" else None, "request_id": "test", "price": price,
            "may_be_free": is_preview,
        }  # fmt: skip
        if is_preview and self.free < FREE_PREVIEWS:
            held = ledger.hold(account, **asked)
            assert held.is_free
            assert held.price == 0
            self.opened(held, 0, 0)
            return
        parts = self.take(price)
        if parts is None:
            with pytest.raises(MonthlyLimitReached):
                ledger.hold(account, **asked)
            # The attempt leaves nothing behind, not even the window that it was the first to need.
            if not known:
                del self.windows[self.current]
            return
        self.opened(ledger.hold(account, **asked), *parts)

    @rule(channel=CHANNELS, count=CREDITS, price=PRICES)
    def hold_many(self, channel: str, count: int, price: int) -> None:
        known = self.current in self.windows
        window, account = self.window(), self.reload()
        asked: dict[str, Any] = {
            "channel": channel, "key": self.key if channel == "api" else None, "price": price,
            "until": datetime.now(UTC) + timedelta(days=1),
        }  # fmt: skip
        free = max(0, window.free)
        if free + self.prepaid < price * count:
            with pytest.raises(NotEnoughCredits) as refusal:
                ledger.hold_many(account, ["test"] * count, **asked)
            assert (refusal.value.wanted, refusal.value.left) == (price * count, free + self.prepaid)
            if not known:
                del self.windows[self.current]
            return
        for held in ledger.hold_many(account, ["test"] * count, **asked):
            parts = self.take(price)
            assert parts is not None
            self.opened(held, *parts)

    def take_open(self, data: st.DataObject) -> Open:
        """One of the open holds, which is about to be settled."""
        return self.holds.pop(data.draw(st.integers(0, len(self.holds) - 1)))

    @precondition(lambda self: self.holds)
    @rule(data=st.data())
    def post(self, data: st.DataObject) -> None:
        one = self.take_open(data)
        assert ledger.post(one.held)
        self.spent(one)

    @precondition(lambda self: self.holds)
    @rule(data=st.data())
    def void(self, data: st.DataObject) -> None:
        one = self.take_open(data)
        assert ledger.void(one.held)
        self.settled.append(one.held)
        self.freed(one)

    @precondition(lambda self: self.holds)
    @rule(data=st.data(), count=CREDITS)
    def void_many(self, data: st.DataObject, count: int) -> None:
        voided = [self.take_open(data) for _ in range(min(count, len(self.holds)))]
        assert len(ledger.void_many([one.held.pk for one in voided])) == len(voided)
        self.settled += [one.held for one in voided]
        for one in sorted(voided, key=lambda one: one.at):
            self.freed(one)

    @precondition(lambda self: self.holds)
    @rule(data=st.data(), renewed=st.booleans())
    def sweep(self, data: st.DataObject, renewed: bool) -> None:
        """One request has run for a long time, and its process has renewed its hold or could not."""
        one = self.take_open(data)
        old = datetime.now(UTC) - ledger.STALE_HOLD - timedelta(minutes=1)
        Hold.objects.filter(pk=one.held.pk).update(created_at=old, held_until=None)
        if renewed:
            assert ledger.keep_held([one.held.pk]) == 1
            assert ledger.void_stale() == 0
            self.holds.append(one)
            return
        assert ledger.void_stale() == 1
        self.lost.append(one.held)
        self.freed(one)

    @precondition(lambda self: self.lost)
    @rule(data=st.data())
    def deliver_what_the_sweep_voided(self, data: st.DataObject) -> None:
        lost = self.lost.pop(data.draw(st.integers(0, len(self.lost) - 1)))
        known = self.current in self.windows
        self.reload()
        assert not ledger.post(lost)
        self.window()
        # A free preview that was lost is free again, or costs nothing where none is left.
        is_free = lost.is_free and self.free < FREE_PREVIEWS
        parts = (0, 0) if is_free else self.take(lost.price)
        if parts is None:
            with pytest.raises(HoldExpired):
                ledger.hold_again(lost)
            if not known:
                del self.windows[self.current]
            return
        paid = ledger.hold_again(lost)
        assert paid.is_free == is_free
        self.opened(paid, *parts)
        self.spent(self.holds.pop())
        assert ledger.hold_again(paid) == paid, "what is spent is not spent twice"

    @precondition(lambda self: self.settled)
    @rule(data=st.data(), settle=st.sampled_from([ledger.post, ledger.void]))
    def settle_again(self, data: st.DataObject, settle) -> None:
        assert not settle(data.draw(st.sampled_from(self.settled)))

    @rule(credits=CREDITS, reference=st.sampled_from("abcdefgh"))
    def grant(self, credits: int, reference: str) -> None:
        granted = ledger.grant_prepaid(self.reload(), credits, reference=f"grant:{reference}")
        assert granted == (f"grant:{reference}" not in self.references)
        self.references.add(f"grant:{reference}")
        self.prepaid += 100 * credits if granted else 0

    @rule(credits=CREDITS, reference=st.sampled_from("abcdefgh"))
    def refund(self, credits: int, reference: str) -> None:
        taken = ledger.refund_prepaid(self.reload(), credits, reference=f"refund:{reference}")
        is_new = f"refund:{reference}" not in self.references
        assert taken == (min(100 * credits, self.prepaid) if is_new else 0)
        self.references.add(f"refund:{reference}")
        self.prepaid -= taken
        self.moves += 1
        if is_new and 100 * credits > taken and self.prepaid_held:
            self.due.append(Due(self.moves, 100 * credits - taken))

    @rule(amount=st.sampled_from([-400, -100, -25, -1, 1, 50, 100, 300]))
    def adjust(self, amount: int) -> None:
        if self.prepaid + amount < 0:
            with pytest.raises(BalanceTooLow):
                ledger.adjust(self.reload(), amount, staff=self.staff, reason="because")
            return
        ledger.adjust(self.reload(), amount, staff=self.staff, reason="because")
        self.prepaid += amount

    @rule(label=st.sampled_from(sorted(PLANS)), again=st.booleans())
    def renew(self, label: str, again: bool) -> None:
        if not again or not self.cycles:
            self.cycles += 1
        start = self.start_of_month + timedelta(days=30 * self.cycles)
        ledger.renew(self.reload(), Plan.objects.get(label=label), start, start + timedelta(days=30))
        self.plan, self.current = 100 * PLANS[label], f"cycle {self.cycles}"
        self.windows.setdefault(self.current, Window(self.plan))

    @rule()
    def end_subscription(self) -> None:
        # Each end a second later than the last: a subscription does not end twice at the same moment.
        self.ends += 1
        ledger.end_subscription(self.reload(), self.start_of_month + timedelta(seconds=self.ends))
        self.plan, self.current = 200, f"month after end {self.ends}"

    @rule(label=st.sampled_from(sorted(PLANS)))
    def change_plan(self, label: str) -> None:
        ledger.change_plan(self.reload(), Plan.objects.get(label=label))
        self.plan = 100 * PLANS[label]
        self.window().allowance = self.plan

    @invariant()
    def balances_are_the_model_s(self) -> None:
        account = self.reload()
        rows = UsageWindow.objects.filter(account=account).order_by("pk")
        figures = [(row.included, row.used, row.on_hold) for row in rows]
        assert figures == [(window.allowance, window.used, window.held) for window in self.windows.values()]
        assert account.prepaid == self.prepaid >= 0
        assert all(min(row.used_by_app, row.used_by_api, row.on_hold) >= 0 for row in rows)
        # The previous release sees whole credits only: never more left than there is.
        assert all(0 >= part > -100 for row in rows for part in (row.app_used_part, row.api_used_part, row.held_part))
        assert 0 <= account.prepaid_balance_part < 100

    @invariant()
    def the_ledger_proves_the_balances(self) -> None:
        entries = LedgerEntry.objects.filter(account=self.account)
        prepaid = entries.filter(bucket=Bucket.PREPAID)
        assert _sums(prepaid) == (self.prepaid, self.prepaid_held)
        for row in UsageWindow.objects.filter(account=self.account):
            assert _sums(entries.filter(window=row)) == (row.left, row.on_hold)
        # Every prepaid credit ever granted is still available, is held, was taken back, or was spent on an image.
        moved = _sums(prepaid.exclude(kind__in=["hold", "post", "void"]))[0]
        assert moved == self.prepaid + self.prepaid_held + self.prepaid_used

    @invariant()
    def what_is_due_is_what_open_holds_can_pay(self) -> None:
        expected = 0
        for one in self.due:
            could_pay = sum(held.prepaid for held in self.holds if held.at < one.at)
            expected += min(one.amount, could_pay - expected)
        assert due.outstanding(self.account).total() == expected

    @invariant()
    def the_counters_count_the_holds(self) -> None:
        holds = Hold.objects.filter(account=self.account)
        months = list(MonthlyUsage.objects.filter(account=self.account))
        posted = list(holds.filter(state="posted"))
        for channel in ("app", "api"):
            used = sum(held.from_included for held in posted if held.channel == channel)
            assert sum(getattr(month, f"used_by_{channel}") for month in months) == used
        assert sum(month.free_previews for month in months) == self.free <= FREE_PREVIEWS
        keys = list(ApiKeyMonth.objects.filter(key=self.key))
        assert sum(month.spent for month in keys) == sum(held.price for held in posted if held.key_id)
        on_hold = sum(held.price for held in holds.filter(key=self.key, state="held"))
        assert sum(month.on_hold for month in keys) == on_hold

    def teardown(self) -> None:
        """Whatever happened, the product's own proof agrees."""
        try:
            assert reconcile(self.reload()) == []
        finally:
            transaction.set_rollback(True)
            self.example.__exit__(None, None, None)


def _sums(entries) -> tuple[int, int]:
    sums = entries.aggregate(available=LedgerEntry.of_available.sum(), held=LedgerEntry.of_held.sum())
    return sums["available"], sums["held"]


@pytest.mark.django_db
def test_no_sequence_of_events_loses_or_invents_a_credit():
    quick = settings(max_examples=20, stateful_step_count=30, deadline=None, derandomize=True, database=None)
    run_state_machine_as_test(Credits, settings=quick)
