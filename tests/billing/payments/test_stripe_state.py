"""Events of Stripe in any order and any number of times lead to the same end state."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise, permutations

import pytest
from django.db import DatabaseError, connection
from django.utils import timezone

from billing.credits import ledger
from billing.membership import usage as membership
from billing.models import Account, LedgerEntry, PackPurchase, Plan, StripeEvent, Subscription, UsageWindow
from tests.billing.conftest import moment, spend
from tests.billing.payments.stripe_stub import undone

pytestmark = pytest.mark.django_db
PACK, PACK_CENTS = "100 credits", 500


def unix(text: str) -> int:
    return int(moment(text).timestamp())


START, END = unix("2026-01-31 10:00"), unix("2026-02-28 10:00")


@pytest.fixture
def subscription(stub, customer):
    return stub.subscribe("Premium-1000", START, END)


def now(customer: Account) -> Account:
    return ledger.get_account(customer.user)


def cycle(customer: Account) -> UsageWindow:
    """The current cycle, read from the database."""
    found = now(customer).cycle
    assert found is not None
    return found


def state() -> dict:
    """Everything that an event may change, except row ids and write times."""
    return {
        "accounts": list(Account.objects.values("plan__label", "prepaid_balance", "cycle__start", "calendar_from")),
        "windows": list(UsageWindow.objects.order_by("start").values("kind", "start", "end", "allowance", "held")),
        "ledger": list(LedgerEntry.objects.order_by("bucket", "available").values("kind", "bucket", "available", "held")),
        "subscriptions": list(Subscription.objects.values("stripe_id", "status", "price", "period_start", "ended_at")),
        "purchases": list(PackPurchase.objects.values("checkout_id", "credits", "revoked", "taken_back", "dispute_status")),
    }


# --- Cycles -------------------------------------------------------------------------------------------


def test_a_paid_invoice_opens_the_cycle_and_leaves_prepaid_credits_alone(send_event, stub, customer, subscription):
    ledger.grant_prepaid(customer, 7, reference="before")
    send_event("invoice.paid", subscription["latest_invoice"])
    account = now(customer)
    assert (account.plan.label, account.prepaid_balance, cycle(customer).allowance) == ("Premium-1000", 7, 1000)
    assert (cycle(customer).start, cycle(customer).end) == (moment("2026-01-31 10:00"), moment("2026-02-28 10:00"))
    assert membership.get_cycle(account, cycle(customer)).is_synced is True


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_every_order_has_the_same_end(send_event, stub, customer, subscription, order):
    checkout = stub.put(
        "cs", object="checkout.session", customer="cus_1", mode="subscription", subscription=subscription["id"]
    )
    events = [
        ("checkout.session.completed", checkout), ("customer.subscription.created", subscription),
        ("customer.subscription.updated", subscription), ("invoice.paid", subscription["latest_invoice"]),
    ]  # fmt: skip
    for index in order:
        assert send_event(*events[index]).status_code == 204
    account = now(customer)
    assert (account.plan.label, cycle(customer).allowance) == ("Premium-1000", 1000)
    assert UsageWindow.objects.count() == LedgerEntry.objects.count() == Subscription.objects.count() == 1
    assert set(StripeEvent.objects.values_list("status", flat=True)) == {"processed"}


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_every_order_has_the_same_end_while_stripe_changes(send_event, stub, customer, order):
    """The same, with Stripe a step further at each event: nothing is paid for until the third."""
    subscription = stub.subscribe("Premium-1000", START, END, status="incomplete", paid="open")
    checkout = stub.put(
        "cs", object="checkout.session", customer="cus_1", mode="subscription", subscription=subscription["id"]
    )
    events = [
        ("checkout.session.completed", checkout), ("customer.subscription.created", subscription),
        ("customer.subscription.updated", subscription), ("invoice.paid", subscription["latest_invoice"]),
    ]  # fmt: skip
    for step, index in enumerate(order):
        if step == 2:
            subscription["status"] = "active"
            subscription["latest_invoice"]["status"] = "paid"
        assert send_event(*events[index]).status_code == 204
        assert (now(customer).cycle is not None) == (step >= 2)
    assert cycle(customer).allowance == 1000
    assert LedgerEntry.objects.count() == 1


def test_twelve_renewals_from_the_end_of_january(send_event, stub, customer, subscription):
    ends = [
        "2026-02-28", "2026-03-31", "2026-04-30", "2026-05-31", "2026-06-30", "2026-07-31", "2026-08-31", "2026-09-30",
        "2026-10-31", "2026-11-30", "2026-12-31", "2027-01-31",
    ]  # fmt: skip
    send_event("invoice.paid", subscription["latest_invoice"])
    for number, end in enumerate(ends, start=1):
        if number > 1:
            in_flight = ledger.hold(now(customer), channel="api", key=None, request_id="in flight")
            invoice = stub.renew(subscription, unix(f"{end} 10:00"))
            send_event("invoice.paid", invoice)
            send_event("invoice.paid", invoice, f"evt_again_{number}")
            ledger.post(in_flight)
        spend(now(customer), api=number, app=1)
    windows = list(UsageWindow.objects.order_by("start"))
    assert len(windows) == 12
    assert all(earlier.end == later.start for earlier, later in pairwise(windows)), "gapless"
    # The image that was in flight counts in the cycle where it began.
    assert [(one.api_used, one.app_used) for one in windows] == [*((n + 1, 1) for n in range(1, 12)), (12, 1)]
    listed = membership.list_cycles(now(customer))
    assert [one.start for one in listed] == [int(one.start.timestamp()) for one in reversed(windows)]
    assert [one.end for one in listed] == [unix(f"{end} 10:00") - 1 for end in reversed(ends)]


def test_an_old_invoice_does_not_bring_an_old_cycle_back(send_event, stub, customer, subscription):
    first = subscription["latest_invoice"]
    send_event("invoice.paid", first)
    stub.renew(subscription, unix("2026-03-31 10:00"))
    send_event("invoice.paid", subscription["latest_invoice"])
    send_event("invoice.paid", first, "evt_late")
    assert cycle(customer).start == moment("2026-02-28 10:00")


def test_a_failed_renewal_keeps_the_cycle_until_stripe_gives_up(send_event, stub, customer, subscription):
    send_event("invoice.paid", subscription["latest_invoice"])
    invoice = stub.renew(subscription, unix("2026-03-31 10:00"), "open")
    subscription["status"] = "past_due"
    send_event("invoice.payment_failed", invoice)
    assert (now(customer).plan.label, cycle(customer).start) == ("Premium-1000", moment("2026-01-31 10:00"))
    invoice["status"], subscription["status"] = "paid", "active"
    send_event("invoice.paid", invoice)
    assert cycle(customer).start == moment("2026-02-28 10:00")


@pytest.mark.parametrize("status", ["canceled", "unpaid"])
def test_the_end_is_free_on_the_calendar_month(send_event, stub, customer, subscription, status):
    send_event("invoice.paid", subscription["latest_invoice"])
    subscription["status"] = status
    ended = timezone.now() - timedelta(seconds=5)
    subscription["ended_at"] = int(ended.timestamp()) if status == "canceled" else None
    send_event("customer.subscription.deleted", subscription)
    account = now(customer)
    assert (account.plan.label, account.cycle) == ("Free", None)
    before = state()
    # Late, and sent again: only Stripe's current state counts.
    subscription_then = subscription | {"status": "active"}
    send_event("customer.subscription.updated", subscription_then)
    send_event("invoice.paid", subscription["latest_invoice"], "evt_late")
    assert state() == before
    window = ledger.get_account(customer.user)
    spend(window, api=1)
    assert UsageWindow.objects.latest("id").allowance == 50


def test_an_upgrade_counts_once_its_invoice_is_paid(send_event, stub, customer, subscription):
    send_event("invoice.paid", subscription["latest_invoice"])
    spend(now(customer), api=3)
    subscription["items"]["data"][0]["price"]["id"] = "Premium-5000"
    invoice = stub.bill(subscription, "open")
    send_event("customer.subscription.updated", subscription)
    assert (now(customer).plan.label, cycle(customer).allowance) == ("Premium-1000", 1000)
    invoice["status"] = "paid"
    for number in range(3):
        send_event("invoice.paid", invoice, f"evt_{number}")
    account = now(customer)
    assert (account.plan.label, cycle(customer).allowance, cycle(customer).api_used) == ("Premium-5000", 5000, 3)
    assert LedgerEntry.objects.get(kind="grant").available == 4000


def test_a_downgrade_counts_from_the_renewal(send_event, stub, customer):
    subscription = stub.subscribe("Premium-5000", START, END)
    send_event("invoice.paid", subscription["latest_invoice"])
    subscription["items"]["data"][0]["price"]["id"] = "Premium-1000"
    send_event("customer.subscription.updated", subscription)
    assert (now(customer).plan.label, cycle(customer).allowance) == ("Premium-5000", 5000)
    send_event("invoice.paid", stub.renew(subscription, unix("2026-03-31 10:00")))
    assert (now(customer).plan.label, cycle(customer).allowance) == ("Premium-1000", 1000)


@pytest.mark.parametrize(("extra", "allowance"), [(0, None), (200, 250)])
def test_a_trial_gives_what_its_plan_says(send_event, stub, customer, extra, allowance):
    Plan.objects.update(trial_credits=extra)
    subscription = stub.subscribe("Premium-1000", START, END, status="trialing")
    send_event("invoice.paid", subscription["latest_invoice"])
    send_event("invoice.paid", subscription["latest_invoice"], "evt_again")
    account = now(customer)
    assert account.plan.label == "Free"
    assert (account.cycle and account.cycle.allowance) == allowance
    subscription["status"] = "active"
    send_event("invoice.paid", stub.renew(subscription, unix("2026-03-31 10:00")))
    assert (now(customer).plan.label, cycle(customer).allowance) == ("Premium-1000", 1000)


def test_a_second_subscription_is_flagged_and_takes_over_when_the_first_ends(send_event, stub, customer, subscription):
    send_event("invoice.paid", subscription["latest_invoice"])
    second = stub.subscribe("Premium-5000", START + 60, END + 60)
    send_event("invoice.paid", second["latest_invoice"])
    assert StripeEvent.objects.latest("id").status == "flagged"
    assert now(customer).plan.label == "Premium-1000"
    subscription["status"], subscription["ended_at"] = "canceled", int(datetime.now(UTC).timestamp())
    send_event("customer.subscription.deleted", subscription)
    assert now(customer).plan.label == "Premium-5000"


# --- Packs --------------------------------------------------------------------------------------------


def test_two_packs_are_two_grants(send_event, stub, customer):
    for checkout in (stub.buy(PACK, PACK_CENTS), stub.buy(PACK, PACK_CENTS)):
        send_event("checkout.session.completed", checkout)
        send_event("checkout.session.completed", checkout, f"evt_again_{checkout['id']}")
    assert now(customer).prepaid_balance == 200
    assert PackPurchase.objects.count() == 2


def test_a_slow_payment_grants_when_it_arrives(send_event, stub, customer):
    checkout = stub.buy(PACK, PACK_CENTS, paid=False)
    send_event("checkout.session.completed", checkout)
    send_event("checkout.session.async_payment_failed", checkout)
    assert (now(customer).prepaid_balance, PackPurchase.objects.count()) == (0, 0)
    checkout["payment_status"] = "paid"
    send_event("checkout.session.async_payment_succeeded", checkout)
    assert now(customer).prepaid_balance == 100


def test_a_refund_takes_back_what_is_left(send_event, stub, customer):
    checkout = stub.buy(PACK, PACK_CENTS)
    charge = checkout["payment_intent"]["latest_charge"]
    send_event("checkout.session.completed", checkout)
    ledger._change_prepaid(customer, -7000, LedgerEntry.Kind.ADJUST, reference="spent", note="")
    stub.refund(charge, 100)
    send_event("charge.refunded", charge)
    send_event("charge.refunded", charge, "evt_again")
    assert now(customer).prepaid_balance == 10
    stub.refund(charge, 400)
    send_event("charge.refunded", charge, "evt_rest")
    purchase = PackPurchase.objects.get()
    assert now(customer).prepaid_balance == 0
    assert (purchase.revoked, purchase.taken_back, purchase.spent_before_refund) == (100, 30, 7000)


def test_a_refund_that_is_reported_before_the_purchase(send_event, stub, customer):
    checkout = stub.buy(PACK, PACK_CENTS)
    charge = checkout["payment_intent"]["latest_charge"]
    stub.refund(charge, 500)
    send_event("charge.refunded", charge)
    send_event("checkout.session.completed", checkout)
    assert now(customer).prepaid_balance == 0
    assert LedgerEntry.objects.count() == 2


@pytest.mark.parametrize(("status", "left"), [("won", 100), ("lost", 0)])
def test_a_dispute_costs_the_credits_when_it_is_lost(send_event, stub, customer, status, left):
    checkout = stub.buy(PACK, PACK_CENTS)
    send_event("checkout.session.completed", checkout)
    charge = checkout["payment_intent"]["latest_charge"]
    dispute = stub.put("dp", object="dispute", charge=charge["id"], status="needs_response")
    send_event("charge.dispute.created", dispute)
    assert (PackPurchase.objects.get().dispute_status, now(customer).prepaid_balance) == ("needs_response", 100)
    dispute["status"] = status
    send_event("charge.dispute.closed", dispute)
    send_event("charge.dispute.closed", dispute, "evt_again")
    send_event("charge.dispute.created", dispute, "evt_late")
    assert (PackPurchase.objects.get().dispute_status, now(customer).prepaid_balance) == (status, left)


# --- Failures -----------------------------------------------------------------------------------------


class Injected(DatabaseError):
    """What a lost database connection raises."""


class FailBefore:
    """Fails just before the n-th database statement, once."""

    def __init__(self, number: int) -> None:
        self.left = number
        self.fired = False

    def __call__(self, execute, sql, params, many, context):
        self.left -= 1
        if self.left == 0:
            self.fired = True
            raise Injected(sql)
        return execute(sql, params, many, context)


def _subscribed(stub, send_event):
    return stub.subscribe("Premium-1000", START, END)


def _ended(stub, send_event):
    subscription = _subscribed(stub, send_event)
    send_event("invoice.paid", subscription["latest_invoice"], "evt_first")
    subscription["status"], subscription["ended_at"] = "canceled", int(timezone.now().timestamp()) - 5
    return subscription


def _upgraded(stub, send_event):
    subscription = _subscribed(stub, send_event)
    send_event("invoice.paid", subscription["latest_invoice"], "evt_first")
    subscription["items"]["data"][0]["price"]["id"] = "Premium-5000"
    return stub.bill(subscription)


def _refunded(stub, send_event):
    checkout = stub.buy(PACK, PACK_CENTS)
    send_event("checkout.session.completed", checkout, "evt_first")
    charge = checkout["payment_intent"]["latest_charge"]
    stub.refund(charge, 500)
    return charge


def _disputed(stub, send_event):
    checkout = stub.buy(PACK, PACK_CENTS)
    return stub.put("dp", object="dispute", charge=checkout["payment_intent"]["latest_charge"]["id"], status="lost")


SITUATIONS = {
    "checkout.session.completed": lambda stub, send_event: stub.buy(PACK, PACK_CENTS),
    "checkout.session.async_payment_succeeded": lambda stub, send_event: stub.buy(PACK, PACK_CENTS),
    "checkout.session.async_payment_failed": lambda stub, send_event: stub.buy(PACK, PACK_CENTS, paid=False),
    "customer.subscription.created": _subscribed,
    "customer.subscription.updated": _subscribed,
    "customer.subscription.deleted": _ended,
    "invoice.paid": _upgraded,
    "invoice.payment_failed": lambda stub, send_event: stub.bill(_subscribed(stub, send_event), "open"),
    "charge.refunded": _refunded,
    "charge.dispute.created": _disputed,
    "charge.dispute.closed": _disputed,
}


@pytest.mark.parametrize("kind", SITUATIONS)
def test_a_failure_at_any_statement_leaves_nothing_half_done(send_event, stub, customer, kind):
    stripe_object = SITUATIONS[kind](stub, send_event)
    before = state()
    statements, outcome = 0, before
    while True:
        statements += 1
        failure = FailBefore(statements)
        with connection.execute_wrapper(failure):
            try:
                response = send_event(kind, stripe_object, f"evt_{statements}")
                assert response.status_code == 503
            except Injected:
                pass  # outside the handler: the client sees a 500, and Stripe sends the event again
        # The very last statement only reads the outcome: by then everything is done.
        if StripeEvent.objects.filter(stripe_id=f"evt_{statements}", status="processed").exists():
            break
        assert state() == before, f"statement {statements}"
        # The retry succeeds; it is rolled back for the next statement.
        with undone():
            assert send_event(kind, stripe_object, f"evt_{statements}").status_code == 204
            outcome = state()
    assert state() == outcome
    assert statements > 10
