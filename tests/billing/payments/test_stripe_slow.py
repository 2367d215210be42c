"""While Stripe takes seconds for each answer, other writers continue, on SQLite with its single write lock."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest
import requests

from tests.billing.payments.payment_server import PaymentServer, payment_server

pytestmark = [pytest.mark.services, pytest.mark.xdist_group("server")]

SLOW_SECONDS = 1.5
# The image itself takes 0.05 s; on a busy machine a call takes some tenths of a second.
SOON_SECONDS = 1.0


@pytest.fixture(scope="module")
def paid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PaymentServer]:
    """The product on SQLite."""
    with payment_server(tmp_path_factory.mktemp("slow")) as running:
        running.stripe.set_delivery("drop")
        yield running


def longest_call_during(paid: PaymentServer, act: Callable[[], object], key: str, png: bytes) -> float:
    """Seconds of the slowest call of `/rmbg`; calls are made one after the other while `act` runs."""
    thread = threading.Thread(target=act)
    seconds, began = [], time.perf_counter()
    thread.start()
    while thread.is_alive():
        started = time.perf_counter()
        assert paid.product.cut_out(key, png).status_code == 200
        seconds.append(time.perf_counter() - started)
    thread.join()
    assert time.perf_counter() - began > SLOW_SECONDS, "nothing was slow"
    return max(seconds)


def deliver(paid: PaymentServer, event: dict) -> None:
    body, signature = paid.stripe.signed(event)
    url, headers = f"{paid.product.url}/api/stripe/webhook", {"Stripe-Signature": signature}
    assert requests.post(url, body, headers=headers, timeout=60).status_code == 204


@pytest.mark.parametrize("kind", ["checkout.session.completed", "invoice.paid", "charge.refunded"])
def test_writers_continue_while_stripe_is_called(paid, small_png, kind):
    key = paid.product.issue_key("other@example.com", plan="Premium-20000")
    price = 'plan__label="Premium-1000"' if kind == "invoice.paid" else "pack__credits=100"
    session = paid.open_checkout(f"{kind}@example.com", price)
    paid.stripe.pay(session)
    if kind == "charge.refunded":
        [charge] = [one["data"]["object"] for one in paid.stripe.events("charge.succeeded")][-1:]
        paid.stripe.refund(charge["id"])
    event = paid.stripe.events(kind)[-1]
    paid.stripe.slow_down(SLOW_SECONDS)
    try:
        longest = longest_call_during(paid, lambda: deliver(paid, event), key, small_png)
        assert longest < SOON_SECONDS
    finally:
        paid.stripe.slow_down(0)
