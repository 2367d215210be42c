"""A refund or lost dispute of credits on hold takes them as they are released, once, and never takes other credits."""

import io
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from accounts.models import User
from billing.credits import due, ledger
from billing.credits.reconciliation import reconcile
from billing.models import (
    Account,
    CreditPack,
    CreditsDue,
    Hold,
    LedgerEntry,
    PackPurchase,
    Plan,
    StripeCustomer,
    StripePrice,
    UsageWindow,
)
from billing.payments import client as stripe_client
from billing.payments import purchases
from billing.payments import reconciliation as stripe_reconciliation
from tests.billing.payments.stripe_stub import CUSTOMER, StripeStub, undone
from tests.billing.support.staff import page

pytestmark = pytest.mark.django_db
PACK, PACK_CENTS = "100 credits", 500


@pytest.fixture
def customer(customer: Account) -> Account:
    """Without included credits: all are prepaid."""
    Plan.objects.filter(label=ledger.FREE_PLAN).update(included_credits=0)
    return ledger.get_account(customer.user)


@pytest.fixture
def bought(send_event, stub, customer) -> dict:
    """A pack of 100 credits."""
    checkout = stub.buy(PACK, PACK_CENTS)
    send_event("checkout.session.completed", checkout)
    return checkout


def hold(account: Account, count: int) -> list[Hold]:
    until = timezone.now() + timedelta(hours=1)
    ids = [f"batch/{number}" for number in range(count)]
    return ledger.hold_many(ledger.get_account(account.user), ids, channel="api", key=None, until=until)


def cancel(held: list[Hold]) -> None:
    ledger.void_many([one.pk for one in held])


def refund(send_event, stub, checkout: dict, cents: int = PACK_CENTS) -> None:
    charge = checkout["payment_intent"]["latest_charge"]
    stub.refund(charge, cents)
    send_event("charge.refunded", charge, f"evt_{charge['amount_refunded']}_{charge['id']}")


def balance(account: Account) -> int:
    return Account.objects.values_list("prepaid_balance", flat=True).get(pk=account.pk)


def purchase() -> tuple[int, int]:
    return PackPurchase.objects.values_list("revoked", "taken_back").get()


def reconciled(**options) -> str:
    out = io.StringIO()
    call_command("reconcile", stdout=out, **options)
    return out.getvalue()


def test_a_refund_takes_what_was_on_hold_once_the_batches_are_cancelled(send_event, stub, customer, bought, support):
    held = [hold(customer, 50), hold(customer, 50)]
    refund(send_event, stub, bought)
    assert (balance(customer), purchase()) == (0, (100, 0))
    assert due.outstanding(customer) == {bought["id"]: 10_000}
    assert f"100 credits of {bought['id']} were refunded while on hold" in reconciled()
    html = support.get(page(customer)).content.decode()
    assert "100 on hold, taken as soon as released" in html
    assert "0 of 100; 100 on hold" in html
    assert "spent before" not in html
    assert stripe_reconciliation.differences(customer) == []

    cancel(held[0])
    assert (balance(customer), purchase()) == (0, (100, 50))
    cancel(held[1])
    cancel(held[1])
    assert (balance(customer), purchase()) == (0, (100, 100))
    assert not due.outstanding(customer)
    assert reconciled() == "ok\n"
    assert "on hold" not in support.get(page(customer)).content.decode()
    taken = LedgerEntry.objects.filter(kind="refund", available__lt=0)
    assert sorted(taken.values_list("available", "note")) == [(-50, bought["id"])] * 2
    assert len(set(taken.values_list("reference", flat=True))) == 2


@pytest.mark.parametrize("end", [ledger.void, lambda held: ledger.void_many([held.pk])], ids=["one", "many"])
def test_a_single_hold_is_taken_too(send_event, stub, customer, bought, end):
    held = hold(customer, 3)
    refund(send_event, stub, bought)
    assert (balance(customer), purchase()) == (0, (100, 97))
    for one in held:
        end(one)
    assert (balance(customer), purchase()) == (0, (100, 100))


def test_the_sweep_and_a_request_that_fails_release_to_the_refund_too(send_event, stub, customer, bought):
    held = ledger.hold(customer, channel="api", key=None, request_id="killed")
    refund(send_event, stub, bought)
    Hold.objects.filter(pk=held.pk).update(created_at=timezone.now() - timedelta(hours=1))
    assert ledger.void_stale() == 1
    assert (balance(customer), purchase()) == (0, (100, 100))


def test_what_is_delivered_after_all_is_spent(send_event, stub, customer, bought):
    held = hold(customer, 100)
    refund(send_event, stub, bought)
    for one in held[:30]:
        ledger.post(one)
    assert due.outstanding(customer).total() == 7000
    cancel(held)
    assert (balance(customer), purchase()) == (0, (100, 70))
    assert PackPurchase.objects.get().spent_before_refund == 3000
    with pytest.raises(CommandError):
        reconciled(stripe=True)
    assert not due.outstanding(customer)


def test_any_holds_that_are_released_pay_the_refund(send_event, stub, customer, bought):
    held = hold(customer, 10)
    refund(send_event, stub, bought, 475)
    assert (balance(customer), purchase()) == (0, (95, 90))
    for one in held[:5]:
        ledger.post(one)
    cancel(held[5:])
    assert (balance(customer), purchase()) == (0, (95, 95))


def test_a_later_purchase_is_the_customers(send_event, stub, customer, bought):
    old = hold(customer, 40)
    refund(send_event, stub, bought)
    later = stub.buy(PACK, PACK_CENTS)
    send_event("checkout.session.completed", later)
    assert balance(customer) == 100
    cancel(hold(customer, 60))
    assert balance(customer) == 100, "these holds were made after the refund"
    cancel(old)
    assert balance(customer) == 100
    assert PackPurchase.objects.get(checkout_id=bought["id"]).taken_back == 100
    assert PackPurchase.objects.get(checkout_id=later["id"]).taken_back == 0


def test_two_refunds_wait_their_turn(send_event, stub, customer, bought):
    first = hold(customer, 20)
    refund(send_event, stub, bought, 450)  # 90: takes 80, short of 10
    later = stub.buy(PACK, PACK_CENTS)
    send_event("checkout.session.completed", later)
    second = hold(customer, 100)
    refund(send_event, stub, later)  # 100: takes 0, short of 100
    assert due.outstanding(customer) == {bought["id"]: 1000, later["id"]: 10_000}
    cancel(second)
    assert due.outstanding(customer) == {bought["id"]: 1000}
    cancel(first)
    assert balance(customer) == 10
    assert sorted(PackPurchase.objects.values_list("revoked", "taken_back")) == [(90, 90), (100, 100)]


def test_a_lost_dispute_takes_what_was_on_hold(send_event, stub, customer, bought):
    held = hold(customer, 100)
    dispute = stub.put("dp", object="dispute", charge=bought["payment_intent"]["latest_charge"]["id"], status="lost")
    for number in range(3):
        send_event("charge.dispute.closed", dispute, f"evt_{number}")
    cancel(held)
    send_event("charge.dispute.closed", dispute, "evt_late")
    assert (balance(customer), purchase()) == (0, (100, 100))
    assert CreditsDue.objects.count() == 1


def test_without_anything_on_hold_nothing_is_due(send_event, stub, customer, bought):
    for one in hold(customer, 60):
        ledger.post(one)
    refund(send_event, stub, bought)
    assert purchase() == (100, 40)
    assert not CreditsDue.objects.exists()


def test_included_credits_that_are_released_pay_no_refund(send_event, stub, customer, bought):
    held = hold(customer, 100)
    refund(send_event, stub, bought)
    Plan.objects.filter(label=ledger.FREE_PLAN).update(included_credits=5)
    account = ledger.get_account(customer.user)
    ledger.change_plan(account, account.plan)
    cancel(hold(customer, 5))
    assert (UsageWindow.objects.get().held, purchase()) == (0, (100, 0))
    cancel(held)
    assert purchase() == (100, 100)


@pytest.mark.parametrize("model", [PackPurchase, CreditsDue])
def test_a_wrong_figure_is_found_and_fixed(send_event, stub, customer, bought, model):
    held = hold(customer, 100)
    refund(send_event, stub, bought)
    cancel(held[:60])
    field = "taken" if model is CreditsDue else "taken_back"
    assert reconcile(customer) == []
    model.objects.update(**{field: 7})
    assert [str(one).endswith(f"{field} is 7, the ledger says 60") for one in reconcile(customer, fix=True)] == [True]
    assert model.objects.values_list(field, flat=True).get() == 60


def test_a_release_costs_one_more_query_and_an_included_one_none(customer, django_assert_num_queries):
    ledger.grant_prepaid(customer, 1, reference="gift")
    held = ledger.hold(customer, channel="api", key=None, request_id="one")
    # Settle, balance, ledger row, what is due; savepoint and release.
    with django_assert_num_queries(6):
        ledger.void(held)
    ledger.change_plan(customer, Plan.objects.get(label="Premium-1000"))
    held = ledger.hold(ledger.get_account(customer.user), channel="api", key=None, request_id="two")
    with django_assert_num_queries(5):
        ledger.void(held)


# --- Any interleaving ---------------------------------------------------------------------------------


class Refunds(RuleBasedStateMachine):
    """Packs are bought first; holds, posts, voids, refunds and disputes follow in any order and any number of times."""

    def __init__(self) -> None:
        super().__init__()
        self.example = undone()
        self.example.__enter__()
        Plan.objects.filter(label=ledger.FREE_PLAN).update(included_credits=0)
        self.account = ledger.get_account(User.objects.create_user("refunds@example.com"))
        StripeCustomer.objects.create(account=self.account, stripe_id=CUSTOMER)
        pack = CreditPack.objects.create(label="Seven", credits=7, price_cents=70)
        StripePrice.objects.create(stripe_id="seven", lookup_key="seven", pack=pack, credits=7, amount_cents=70)
        self.stub = StripeStub()
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(stripe_client, "get_client", lambda: self.stub)
        self.sessions = [self.stub.buy("seven", 70) for _ in range(3)]
        for session in self.sessions:
            purchases.sync(self.account, session["id"])
        self.lost: set[str] = set()
        self.open: list[Hold] = []
        self.spent = 0

    def teardown(self) -> None:
        self.patch.undo()
        self.example.__exit__(None, None, None)

    def session(self, data: st.DataObject) -> dict:
        return data.draw(st.sampled_from(self.sessions))

    @rule(count=st.integers(1, 6))
    def hold(self, count: int) -> None:
        free = balance(self.account)
        if free:
            self.open += hold(self.account, min(count, free))

    @precondition(lambda self: self.open)
    @rule(data=st.data(), count=st.integers(1, 4))
    def release(self, data: st.DataObject, count: int) -> None:
        picked = [self.open.pop(data.draw(st.integers(0, len(self.open) - 1))) for _ in range(min(count, len(self.open)))]
        assert len(ledger.void_many([one.pk for one in picked])) == len(picked)

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def spend(self, data: st.DataObject) -> None:
        assert ledger.post(self.open.pop(data.draw(st.integers(0, len(self.open) - 1))))
        self.spent += 1

    @rule(data=st.data(), cents=st.integers(5, 70), times=st.integers(1, 2))
    def refund(self, data: st.DataObject, cents: int, times: int) -> None:
        session = self.session(data)
        charge = session["payment_intent"]["latest_charge"]
        if left := charge["amount"] - charge["amount_refunded"]:
            self.stub.refund(charge, min(cents, left))
        for _ in range(times):
            purchases.sync(self.account, session["id"])

    @rule(data=st.data(), status=st.sampled_from(["needs_response", "won", "lost"]))
    def dispute(self, data: st.DataObject, status: str) -> None:
        session = self.session(data)
        apply = purchases.read(self.account, session["id"], {"id": f"dp_{session['id']}", "status": status})
        apply(ledger.get_account(self.account.user))

    @invariant()
    def every_credit_is_somewhere_once(self) -> None:
        taken = sum(PackPurchase.objects.values_list("taken_back", flat=True))
        assert balance(self.account) + len(self.open) + self.spent + taken == 21
        assert all(0 <= one.taken_back <= one.revoked <= one.credits for one in PackPurchase.objects.all())
        assert reconcile(self.account) == []

    @invariant()
    def once_all_is_released_everything_due_is_taken(self) -> None:
        with undone():
            ledger.void_many([one.pk for one in self.open])
            rows = PackPurchase.objects.values_list("revoked", "taken_back")
            revoked, taken = (sum(column) for column in zip(*rows, strict=True))
            assert taken == min(revoked, 21 - self.spent)
            assert not due.outstanding(self.account)


def test_no_interleaving_leaves_a_refunded_credit_with_the_customer():
    quick = hypothesis_settings(max_examples=15, stateful_step_count=15, deadline=None, derandomize=True, database=None)
    run_state_machine_as_test(Refunds, settings=quick)
