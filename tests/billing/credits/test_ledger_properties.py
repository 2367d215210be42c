"""Any sequence of events of an account, compared with a model of a few numbers."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from django.db import transaction
from django.db.models import Sum
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from accounts.models import ApiKey, ApiKeyMonth, User
from billing.credits import due, ledger
from billing.credits.refusals import BalanceTooLow, HoldExpired, MonthlyLimitReached, NotEnoughCredits
from billing.credits.windows import month_bounds, month_of
from billing.models import Account, Bucket, Hold, LedgerEntry, MonthlyUsage, Plan, UsageWindow
from tests.examples import examples

CREDITS = st.integers(1, 4)
PLANS = {"none": 0, "tiny": 1, "small": 3, "large": 6}
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
    """A hold that is open; `at` orders it among all holds and refunds."""

    held: Hold
    window: str
    bucket: Bucket
    at: int


@dataclass
class Due:
    """What a refund could not take because it was on hold."""

    at: int
    credits: int


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
        self.staff = User.objects.create_user("staff@example.com")
        user = User.objects.create_user("customer@example.com")
        self.key, _ = ApiKey.objects.issue(user, name="test")
        self.account = ledger.get_account(user)
        self.plan = 2
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

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self.example.__exit__(None, None, None)

    def window(self) -> Window:
        """The window that limits; created on first use, as in the product."""
        return self.windows.setdefault(self.current, Window(self.plan))

    def reload(self) -> Account:
        """The account as the next request would read it."""
        self.account = ledger.get_account(User.objects.get(email="customer@example.com"))
        return self.account

    def opened(self, held: Hold) -> None:
        """A hold was made."""
        self.moves += 1
        bucket = Bucket(held.bucket)
        self.holds.append(Open(held, self.current, bucket, self.moves))
        if bucket == Bucket.INCLUDED:
            self.window().held += 1
        else:
            self.prepaid, self.prepaid_held = self.prepaid - 1, self.prepaid_held + 1

    def spent(self, one: Open) -> None:
        """A hold was posted."""
        self.settled.append(one.held)
        if one.bucket == Bucket.INCLUDED:
            self.windows[one.window].held -= 1
            self.windows[one.window].used += 1
        else:
            self.prepaid_held, self.prepaid_used = self.prepaid_held - 1, self.prepaid_used + 1

    def freed(self, one: Open) -> None:
        """A hold was voided: a later refund that is short of credits gets this one."""
        if one.bucket == Bucket.INCLUDED:
            self.windows[one.window].held -= 1
            return
        self.prepaid_held -= 1
        if payee := next((due for due in self.due if due.at > one.at and due.credits), None):
            payee.credits -= 1
        else:
            self.prepaid += 1

    @rule(channel=CHANNELS)
    def hold(self, channel: str) -> None:
        known = self.current in self.windows
        window, account = self.window(), self.reload()
        key = self.key if channel == "api" else None
        expected = Bucket.INCLUDED if window.free > 0 else Bucket.PREPAID if self.prepaid else None
        if expected is None:
            with pytest.raises(MonthlyLimitReached):
                ledger.hold(account, channel=channel, key=key, request_id="test")
            # The attempt leaves nothing behind, not even the window that it was the first to need.
            if not known:
                del self.windows[self.current]
            return
        held = ledger.hold(account, channel=channel, key=key, request_id="test")
        assert held.bucket == expected
        self.opened(held)

    @rule(channel=CHANNELS, count=CREDITS)
    def hold_many(self, channel: str, count: int) -> None:
        known = self.current in self.windows
        window, account = self.window(), self.reload()
        key = self.key if channel == "api" else None
        until = datetime.now(UTC) + timedelta(days=1)
        included = min(count, max(0, window.free))
        if count - included > self.prepaid:
            with pytest.raises(NotEnoughCredits) as refusal:
                ledger.hold_many(account, ["test"] * count, channel=channel, key=key, until=until)
            assert (refusal.value.wanted, refusal.value.left) == (count, included + self.prepaid)
            if not known:
                del self.windows[self.current]
            return
        held = ledger.hold_many(account, ["test"] * count, channel=channel, key=key, until=until)
        assert [each.bucket for each in held] == [Bucket.INCLUDED] * included + [Bucket.PREPAID] * (count - included)
        for each in held:
            self.opened(each)

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
        assert ledger.void_many([one.held.pk for one in voided]) == len(voided)
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
        if self.window().free <= 0 and not self.prepaid:
            with pytest.raises(HoldExpired):
                ledger.hold_again(lost)
            if not known:
                del self.windows[self.current]
            return
        paid = ledger.hold_again(lost)
        self.opened(paid)
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
        self.prepaid += credits if granted else 0

    @rule(credits=CREDITS, reference=st.sampled_from("abcdefgh"))
    def refund(self, credits: int, reference: str) -> None:
        taken = ledger.refund_prepaid(self.reload(), credits, reference=f"refund:{reference}")
        is_new = f"refund:{reference}" not in self.references
        assert taken == (min(credits, self.prepaid) if is_new else 0)
        self.references.add(f"refund:{reference}")
        self.prepaid -= taken
        self.moves += 1
        if is_new and credits > taken and self.prepaid_held:
            self.due.append(Due(self.moves, credits - taken))

    @rule(credits=st.integers(-4, 4).filter(bool))
    def adjust(self, credits: int) -> None:
        if self.prepaid + credits < 0:
            with pytest.raises(BalanceTooLow):
                ledger.adjust(self.reload(), credits, staff=self.staff, reason="because")
            return
        ledger.adjust(self.reload(), credits, staff=self.staff, reason="because")
        self.prepaid += credits

    @rule(label=st.sampled_from(sorted(PLANS)), again=st.booleans())
    def renew(self, label: str, again: bool) -> None:
        if not again or not self.cycles:
            self.cycles += 1
        start = self.start_of_month + timedelta(days=30 * self.cycles)
        ledger.renew(self.reload(), Plan.objects.get(label=label), start, start + timedelta(days=30))
        self.plan, self.current = PLANS[label], f"cycle {self.cycles}"
        self.windows.setdefault(self.current, Window(self.plan))

    @rule()
    def end_subscription(self) -> None:
        # Each end a second later than the last: a subscription does not end twice at the same moment.
        self.ends += 1
        ledger.end_subscription(self.reload(), self.start_of_month + timedelta(seconds=self.ends))
        self.plan, self.current = 2, f"month after end {self.ends}"

    @rule(label=st.sampled_from(sorted(PLANS)))
    def change_plan(self, label: str) -> None:
        ledger.change_plan(self.reload(), Plan.objects.get(label=label))
        self.plan = PLANS[label]
        self.window().allowance = self.plan

    @invariant()
    def balances_are_the_model_s(self) -> None:
        account = self.reload()
        rows = UsageWindow.objects.filter(account=account).order_by("pk")
        figures = [(row.allowance, row.used, row.held) for row in rows]
        assert figures == [(window.allowance, window.used, window.held) for window in self.windows.values()]
        assert account.prepaid_balance == self.prepaid >= 0
        assert all(min(row.app_used, row.api_used, row.held) >= 0 for row in rows)

    @invariant()
    def the_ledger_proves_the_balances(self) -> None:
        entries = LedgerEntry.objects.filter(account=self.account)
        prepaid = entries.filter(bucket=Bucket.PREPAID)
        assert _sums(prepaid) == (self.prepaid, self.prepaid_held)
        for row in UsageWindow.objects.filter(account=self.account):
            assert _sums(entries.filter(window=row)) == (row.allowance - row.used - row.held, row.held)
        # Every prepaid credit ever granted is still available, is held, was taken back, or was spent on an image.
        moved = _sums(prepaid.exclude(kind__in=["hold", "post", "void"]))[0]
        assert moved == self.prepaid + self.prepaid_held + self.prepaid_used

    @invariant()
    def what_is_due_is_what_open_holds_can_pay(self) -> None:
        expected = 0
        for one in self.due:
            could_pay = sum(held.bucket == Bucket.PREPAID and held.at < one.at for held in self.holds)
            expected += min(one.credits, could_pay - expected)
        assert due.outstanding(self.account).total() == expected

    @invariant()
    def the_counters_count_the_holds(self) -> None:
        holds = Hold.objects.filter(account=self.account)
        included = holds.filter(bucket=Bucket.INCLUDED, state="posted")
        months = MonthlyUsage.objects.filter(account=self.account).aggregate(Sum("app_used"), Sum("api_used"))
        for channel in ("app", "api"):
            assert (months[f"{channel}_used__sum"] or 0) == included.filter(channel=channel).count()
        keys = ApiKeyMonth.objects.filter(key=self.key).aggregate(Sum("used"), Sum("held"))
        assert (keys["used__sum"] or 0) == holds.filter(key=self.key, state="posted").count()
        assert (keys["held__sum"] or 0) == holds.filter(key=self.key, state="held").count()


def _sums(entries) -> tuple[int, int]:
    sums = entries.aggregate(Sum("available"), Sum("held"))
    return sums["available__sum"] or 0, sums["held__sum"] or 0


@pytest.mark.django_db
def test_no_sequence_of_events_loses_or_invents_a_credit():
    quick = examples(15, stateful_step_count=30)
    run_state_machine_as_test(Credits, settings=quick)
