"""The fake Stripe, called through Stripe's SDK and clicked as in a browser."""

import itertools
import re
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import requests
import stripe

from tests.fakes.stripe_server import StripeFake, sign
from tests.fakes.stripe_server.periods import DAY

START = int(datetime(2026, 1, 31, 10, 30, tzinfo=UTC).timestamp())
SECRET = "whsec_of_this_test"


class Listener:
    """A product that receives webhooks: what arrived, and what it answers."""

    def __init__(self) -> None:
        self.received: list[tuple[bytes, str]] = []
        self.answers: list[int] = []
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                listener.received.append((body, self.headers["Stripe-Signature"]))
                self.send_response(listener.answers.pop(0) if listener.answers else 200)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/api/stripe/webhook"

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def types(self) -> list[str]:
        return [stripe.Webhook.construct_event(body, header, SECRET).type for body, header in self.received]


@pytest.fixture
def listener() -> Iterator[Listener]:
    running = Listener()
    yield running
    running.stop()


@pytest.fixture
def fake() -> Iterator[StripeFake]:
    with StripeFake(secret=SECRET, clock=START) as running:
        yield running


@pytest.fixture
def client(fake: StripeFake) -> stripe.StripeClient:
    return client_of(fake)


def client_of(fake: StripeFake, key: str = "sk_test_1") -> stripe.StripeClient:
    return stripe.StripeClient(key, base_addresses={"api": fake.url}, max_network_retries=0)


def make_price(client: stripe.StripeClient, key: str, amount: int, *, recurring: bool = True) -> stripe.Price:
    product = client.v1.products.create({"name": key.title()})
    cycle = {"recurring": {"interval": "month"}} if recurring else {}
    params = {"product": product.id, "currency": "usd", "unit_amount": amount, "lookup_key": key, **cycle}
    return client.v1.prices.create(params)  # type: ignore[arg-type]


def checkout(client: stripe.StripeClient, price: stripe.Price, **more: object) -> stripe.checkout.Session:
    params = {
        "mode": "subscription" if price.recurring else "payment",
        "line_items": [{"price": price.id, "quantity": 1}],
        "success_url": "http://127.0.0.1:9/done?session={CHECKOUT_SESSION_ID}",
        "cancel_url": "http://127.0.0.1:9/pricing",
        **more,
    }
    return client.v1.checkout.sessions.create(params)  # type: ignore[arg-type]


def click(address: str | None, **form: str) -> requests.Response:
    assert address
    return requests.post(address, data=form, allow_redirects=False, timeout=5)


def control(fake: StripeFake, name: str, **body: object) -> dict:
    answer = requests.post(f"{fake.url}/_control/{name}", json=body, timeout=5)
    assert answer.ok, answer.text
    return answer.json()


def subscribe(fake: StripeFake, client: stripe.StripeClient, price: stripe.Price, **more: object) -> stripe.Subscription:
    """Through the page that a buyer would click."""
    session = checkout(client, price, **more)
    assert click(session.url, action="pay").status_code == 303
    subscription = client.v1.checkout.sessions.retrieve(session.id, {"expand": ["subscription"]}).subscription
    assert isinstance(subscription, stripe.Subscription)
    return subscription


def types(fake: StripeFake) -> list[str]:
    return [event["type"] for event in fake.events()]


def test_products_and_prices_are_kept_listed_and_merged(fake, client):
    price = make_price(client, "basic", 900)
    make_price(client, "pro", 1900)
    assert [found.id for found in client.v1.prices.list({"lookup_keys": ["basic"], "active": True}).data] == [price.id]
    product = client.v1.products.update(str(price.product), {"metadata": {"plan": "1", "old": "x"}})
    product = client.v1.products.update(product.id, {"metadata": {"old": ""}})
    assert product.metadata.to_dict() == {"plan": "1"}
    assert types(fake)[:2] == ["product.created", "price.created"]


def test_a_lookup_key_moves_only_when_asked(client):
    old = make_price(client, "basic", 900)
    params = {"product": old.product, "currency": "usd", "unit_amount": 1000, "lookup_key": "basic"}
    with pytest.raises(stripe.InvalidRequestError, match="already uses that lookup key"):
        client.v1.prices.create(params)
    new = client.v1.prices.create({**params, "transfer_lookup_key": True})
    assert new.lookup_key == "basic"
    assert client.v1.prices.retrieve(old.id).lookup_key is None


def test_lists_come_in_pages_newest_first(client):
    made = [client.v1.customers.create({"email": f"{number}@example.com"}).id for number in range(5)]
    page = client.v1.customers.list({"limit": 2})
    assert [customer.id for customer in page.data] == made[:-3:-1]
    assert page.has_more
    assert [customer.id for customer in page.auto_paging_iter()] == made[::-1]
    assert [one.id for one in client.v1.customers.list({"email": "3@example.com"}).data] == [made[3]]


@pytest.mark.parametrize(
    ("params", "code", "param"),
    [
        ({"product": "x", "currency": "usd", "unit_amont": 1}, "parameter_unknown", "unit_amont"),
        ({"product": "x", "currency": "usd", "unit_amount": "9.5"}, "parameter_invalid_integer", "unit_amount"),
        ({"product": "x", "unit_amount": 1}, "parameter_missing", "currency"),
        ({"product": "nope", "currency": "usd", "unit_amount": 1}, "resource_missing", "product"),
        ({"currency": "usd", "recurring": {"interval": "moon"}}, None, "recurring[interval]"),
    ],
)
def test_wrong_parameters_are_refused(client, params, code, param):
    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.prices.create(params)
    assert (refused.value.http_status, refused.value.code, refused.value.param) == (400, code, param)


def test_a_price_is_never_edited(client):
    with pytest.raises(stripe.InvalidRequestError, match="Received unknown parameter: unit_amount"):
        client.v1.prices.update(make_price(client, "basic", 900).id, {"unit_amount": 1})


def test_unknown_objects_and_keys_are_refused(fake, client):
    with pytest.raises(stripe.InvalidRequestError) as missing:
        client.v1.customers.retrieve("cus_none")
    assert (missing.value.http_status, missing.value.code) == (404, "resource_missing")
    with pytest.raises(stripe.AuthenticationError):
        client_of(fake, "pk_live_1").v1.customers.list()


def test_an_idempotency_key_gives_the_same_answer_once(fake, client):
    options: stripe.RequestOptions = {"idempotency_key": "order-1"}
    first = client.v1.customers.create({"email": "a@example.com"}, options)
    assert client.v1.customers.create({"email": "a@example.com"}, options).id == first.id
    with pytest.raises(stripe.IdempotencyError):
        client.v1.customers.create({"email": "b@example.com"}, options)
    assert len(client.v1.customers.list().data) == 1
    assert fake.requests[0].idempotency_key == "order-1"
    assert fake.requests[0].version == stripe.api_version


def test_a_buyer_subscribes_on_the_page(fake, client):
    customer = client.v1.customers.create({"email": "a@example.com"})
    session = checkout(
        client,
        make_price(client, "basic", 900),
        customer=customer.id,
        client_reference_id="42",
        subscription_data={"metadata": {"account": "42"}},
    )
    shown = requests.get(str(session.url), timeout=5).text
    assert "9.00 USD per month" in shown
    assert re.findall(r"<button>(.*?)</button>", shown) == [
        "Pay",
        "Pay with a failing card",
        "Pay later (async)",
        "Back",
    ]
    assert click(session.url, action="back").headers["Location"] == "http://127.0.0.1:9/pricing"
    assert click(session.url, action="fail").status_code == 402
    paid = click(session.url, action="pay")
    assert (paid.status_code, paid.headers["Location"]) == (303, f"http://127.0.0.1:9/done?session={session.id}")
    done = client.v1.checkout.sessions.retrieve(session.id, {"expand": ["line_items", "subscription.latest_invoice"]})
    assert (done.status, done.payment_status) == ("complete", "paid")
    assert done.line_items and done.line_items.data[0].price.lookup_key == "basic"
    subscription = done.subscription
    assert subscription.status == "active"
    assert subscription.metadata.to_dict() == {"account": "42"}
    assert not hasattr(subscription, "current_period_end")
    assert subscription.latest_invoice.parent.subscription_details.subscription == subscription.id
    assert set(types(fake)) >= {
        "checkout.session.completed",
        "customer.subscription.created",
        "customer.subscription.updated",
        "invoice.created",
        "invoice.paid",
        "charge.succeeded",
        "payment_intent.succeeded",
    }
    assert click(session.url, action="pay").status_code == 400


def test_twelve_renewals_from_a_31_january_leave_no_gap(fake, client):
    subscription = subscribe(fake, client, make_price(client, "basic", 900))
    ends = []
    for _ in range(12):
        item = client.v1.subscriptions.retrieve(subscription.id)["items"].data[0]
        ends.append(datetime.fromtimestamp(item.current_period_end, UTC))
        control(fake, "clock", advance_to=item.current_period_end)
    assert [end.day for end in ends] == [28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31, 31]
    invoices = list(client.v1.invoices.list({"subscription": subscription.id, "limit": 5}).auto_paging_iter())[::-1]
    assert [invoice.billing_reason for invoice in invoices] == ["subscription_create"] + ["subscription_cycle"] * 12
    periods = [invoice.lines.data[0].period for invoice in invoices]
    assert all(before.end == after.start for before, after in itertools.pairwise(periods))
    assert all(invoice.status == "paid" for invoice in invoices)
    # An invoice's own period looks back, as Stripe's does.
    assert (invoices[1].period_start, invoices[1].period_end) == (periods[0].start, periods[0].end)


def test_a_failing_card_is_retried_and_then_ends_the_subscription(fake, client):
    subscription = subscribe(fake, client, make_price(client, "basic", 900))
    control(fake, "card", customer=subscription.customer, fails=True)
    end = subscription["items"].data[0].current_period_end
    fake.advance(end)
    assert client.v1.subscriptions.retrieve(subscription.id).status == "past_due"
    invoice = client.v1.invoices.list({"subscription": subscription.id, "status": "open"}).data[0]
    assert (invoice.attempt_count, invoice.next_payment_attempt) == (1, end + 3 * DAY)
    fake.advance(end + 15 * DAY)
    assert types(fake).count("invoice.payment_failed") == 4
    assert types(fake)[-1] == "customer.subscription.deleted"
    gone = client.v1.subscriptions.retrieve(subscription.id)
    assert (gone.status, gone.cancellation_details.reason) == ("canceled", "payment_failed")
    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.subscriptions.cancel(subscription.id)
    assert refused.value.http_status == 404


def test_a_good_card_in_time_brings_the_subscription_back(fake, client):
    subscription = subscribe(fake, client, make_price(client, "basic", 900))
    fake.set_card(str(subscription.customer), fails=True)
    end = subscription["items"].data[0].current_period_end
    fake.advance(end + DAY)
    fake.set_card(str(subscription.customer), fails=False)
    fake.advance(end + 4 * DAY)
    assert client.v1.subscriptions.retrieve(subscription.id).status == "active"
    assert types(fake)[-1] == "invoice.paid"


def test_a_trial_makes_a_zero_invoice(fake, client):
    price = make_price(client, "basic", 900)
    subscription = subscribe(fake, client, price, subscription_data={"trial_period_days": 7})
    assert subscription.status == "trialing"
    assert client.v1.invoices.retrieve(str(subscription.latest_invoice)).amount_paid == 0
    assert "charge.succeeded" not in types(fake)
    fake.advance(START + 7 * DAY)
    renewed = client.v1.subscriptions.retrieve(subscription.id, {"expand": ["latest_invoice"]})
    assert renewed.status == "active"
    assert renewed.latest_invoice.amount_paid == 900


def test_the_portal_upgrades_now_downgrades_later_and_cancels(fake, client):
    basic, pro = make_price(client, "basic", 1000), make_price(client, "pro", 3000)
    subscription = subscribe(fake, client, basic)
    end = subscription["items"].data[0].current_period_end
    session = client.v1.billing_portal.sessions.create(
        {"customer": str(subscription.customer), "return_url": "http://127.0.0.1:9/billing"}
    )
    fake.advance(START + (end - START) // 2)
    assert click(session.url, action="switch", subscription=subscription.id, price=pro.id).status_code == 303
    invoice = client.v1.invoices.list({"subscription": subscription.id}).data[0]
    assert (invoice.billing_reason, [line.amount for line in invoice.lines.data]) == (
        "subscription_update",
        [-500, 1500],
    )
    click(session.url, action="switch", subscription=subscription.id, price=basic.id)
    assert "Then Basic." in requests.get(session.url, timeout=5).text
    assert price_of(client, subscription) == pro.id
    fake.advance(end)
    assert price_of(client, subscription) == basic.id
    click(session.url, action="cancel_at_period_end", subscription=subscription.id)
    assert client.v1.subscriptions.retrieve(subscription.id).cancel_at_period_end
    click(session.url, action="resume", subscription=subscription.id)
    click(session.url, action="cancel_at_period_end", subscription=subscription.id)
    fake.advance(end + 31 * DAY)
    assert client.v1.subscriptions.retrieve(subscription.id).status == "canceled"
    assert client.v1.subscriptions.list({"customer": str(subscription.customer)}).data == []


def price_of(client: stripe.StripeClient, subscription: stripe.Subscription) -> str:
    return client.v1.subscriptions.retrieve(subscription.id)["items"].data[0].price.id


def test_the_api_changes_the_price_of_an_item(fake, client):
    subscription = subscribe(fake, client, make_price(client, "basic", 1000))
    pro = make_price(client, "pro", 3000)
    item = {"id": subscription["items"].data[0].id, "price": pro.id}
    client.v1.subscriptions.update(subscription.id, {"items": [item], "proration_behavior": "always_invoice"})
    assert client.v1.invoices.list({"subscription": subscription.id}).data[0].amount_paid == 2000
    fake.set_card(str(subscription.customer), fails=True)
    with pytest.raises(stripe.CardError):
        client.v1.subscriptions.update(
            subscription.id,
            {"items": [{**item, "quantity": 2}], "payment_behavior": "error_if_incomplete"},
        )
    assert client.v1.subscriptions.retrieve(subscription.id)["items"].data[0].quantity == 1


def test_a_pack_is_refunded_in_parts_and_disputed(fake, client):
    session = checkout(
        client, make_price(client, "pack", 5000, recurring=False), payment_intent_data={"metadata": {"pack": "7"}}
    )
    click(session.url, action="pay")
    intent = str(client.v1.checkout.sessions.retrieve(session.id).payment_intent)
    charge = client.v1.charges.list({"payment_intent": intent}).data[0]
    assert charge.metadata["pack"] == "7"
    control(fake, "refund", charge=charge.id, amount=1000)
    assert client.v1.charges.retrieve(charge.id).amount_refunded == 1000
    client.v1.refunds.create({"payment_intent": intent})
    assert client.v1.charges.retrieve(charge.id).refunded
    with pytest.raises(stripe.InvalidRequestError, match="already been refunded"):
        client.v1.refunds.create({"charge": charge.id})
    opened = control(fake, "dispute", charge=charge.id, status="created")
    control(fake, "dispute", charge=charge.id, status="lost")
    assert client.v1.disputes.retrieve(opened["id"]).status == "lost"
    assert types(fake)[-4:] == ["charge.refunded"] * 2 + ["charge.dispute.created", "charge.dispute.closed"]


@pytest.mark.parametrize(("succeed", "outcome"), [(True, "succeeded"), (False, "failed")])
def test_a_payment_may_come_later(fake, client, succeed, outcome):
    session = checkout(client, make_price(client, "pack", 5000, recurring=False))
    click(session.url, action="async")
    assert client.v1.checkout.sessions.retrieve(session.id).payment_status == "unpaid"
    control(fake, "async", session=session.id, succeed=succeed)
    assert types(fake)[-1] == f"checkout.session.async_payment_{outcome}"
    assert client.v1.checkout.sessions.retrieve(session.id).payment_status == ("paid" if succeed else "unpaid")


def test_a_session_left_alone_expires(fake, client):
    session = checkout(client, make_price(client, "basic", 900))
    fake.advance(START + DAY)
    assert client.v1.checkout.sessions.retrieve(session.id).status == "expired"
    assert types(fake)[-1] == "checkout.session.expired"


@pytest.mark.parametrize("after", [False, True])
def test_failures_on_the_way_can_be_simulated(fake, client, after):
    fake.fail_next(status=0, after=after)
    with pytest.raises(stripe.APIConnectionError):
        client.v1.customers.create({}, {"idempotency_key": "once"})
    client.v1.customers.create({}, {"idempotency_key": "once"})
    assert len(client.v1.customers.list().data) == 1


def test_webhooks_are_signed_and_retried(listener):
    with StripeFake(listener.url, SECRET, START) as fake:
        listener.answers = [500, 500]
        client_of(fake).v1.products.create({"name": "Basic"})
        fake.wait()
        assert listener.types() == ["product.created"] * 3
        assert fake.webhooks.deliveries[0].statuses == [500, 500, 200]
        body, header = listener.received[0]
        with pytest.raises(stripe.SignatureVerificationError):
            stripe.Webhook.construct_event(body + b" ", header, SECRET)
        with pytest.raises(stripe.SignatureVerificationError):
            stripe.Webhook.construct_event(body, sign(body, SECRET, at=START), SECRET)


@pytest.mark.parametrize(
    ("mode", "delivered"),
    [
        ("normal", ["product", "price"]),
        ("double", ["product", "product", "price", "price"]),
        ("reverse", ["price", "product"]),
        ("drop", []),
        ("hold", []),
    ],
)
def test_webhooks_are_doubled_reversed_dropped_and_held(listener, mode, delivered):
    with StripeFake(listener.url, SECRET, START) as fake:
        control(fake, "mode", delivery=mode)
        params = {"product_data": {"name": "Basic"}, "currency": "usd", "unit_amount": 900}
        client_of(fake).v1.prices.create(params)  # type: ignore[arg-type]
        fake.wait()
        assert listener.types() == [f"{kind}.created" for kind in delivered]
        if mode == "hold":
            fake.set_delivery("normal")
            fake.wait()
            assert listener.types() == ["product.created", "price.created"]


def test_one_fact_can_be_sent_under_two_ids(listener):
    with StripeFake(listener.url, SECRET, START) as fake:
        fake.set_delivery("drop")
        client_of(fake).v1.products.create({"name": "Basic"})
        event = fake.events()[0]["id"]
        delivered = control(fake, "deliver", event=event, times=2, new_id=True, delay=0.05)["events"]
        fake.wait()
        assert len({*delivered, event}) == 3
        assert listener.types() == ["product.created"] * 2
        assert client_of(fake).v1.events.retrieve(delivered[1]).data.object["name"] == "Basic"
