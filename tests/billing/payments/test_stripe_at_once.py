"""Many concurrent events about the same fact, on PostgreSQL."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
import requests

from tests.billing.payments.payment_server import SECRET, PaymentServer, payment_server
from tests.conftest import skip_or_fail
from tests.fakes.stripe_server import sign

pytestmark = [pytest.mark.services, pytest.mark.xdist_group("server")]

POSTGRES = "postgres://postgres@127.0.0.1:5432/"
DATABASE = "rembg_stripe_scratch"
COUNT = """
from billing.models import LedgerEntry, StripeEvent, UsageWindow
print(LedgerEntry.objects.filter(kind="renew").count(), UsageWindow.objects.get(kind="cycle").allowance,
      StripeEvent.objects.filter(type="invoice.paid", status="processed", attempts=1).count())
"""


@pytest.fixture
def paid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PaymentServer]:
    """The product on a separate database."""
    try:
        connection = psycopg.connect(f"{POSTGRES}postgres", autocommit=True)
    except psycopg.OperationalError:
        skip_or_fail("there is no PostgreSQL at 127.0.0.1:5432")
    drop = f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)"
    with connection:
        connection.execute(drop)
        connection.execute(f"CREATE DATABASE {DATABASE}")
        try:
            with payment_server(tmp_path_factory.mktemp("stripe"), {"DATABASE_URL": POSTGRES + DATABASE}) as running:
                yield running
        finally:
            connection.execute(drop)


def test_one_renewal_of_fifty_events_from_eight_threads(paid: PaymentServer):
    paid.stripe.set_delivery("drop")
    paid.stripe.pay(paid.open_checkout("busy@example.com", 'plan__label="Premium-1000"'))
    [event] = paid.stripe.events("invoice.paid")

    def send(id: str) -> int:
        body = json.dumps(event | {"id": id}).encode()
        url, headers = f"{paid.product.url}/api/stripe/webhook", {"Stripe-Signature": sign(body, SECRET)}
        return requests.post(url, body, headers=headers, timeout=60).status_code

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(send, [event["id"]] * 50)) == {204}
        assert paid.run(COUNT) == "1 1000 1"
        assert set(pool.map(send, [f"evt_{number}" for number in range(25)] * 2)) == {204}
    assert paid.run(COUNT) == "1 1000 26"
    assert paid.product.manage("reconcile", "--stripe").strip() == "ok"
