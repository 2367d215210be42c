"""From the first free image to a cancelled subscription, paid to a fake Stripe."""

import re
from collections.abc import Iterator

import pytest
import requests
from playwright.sync_api import Browser, Page, expect

from tests.billing.payments.payment_server import PaymentServer, payment_server
from tests.browser.test_accounts_journey import make_key, sign_up

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def paid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PaymentServer]:
    """The product with payment, and a Free plan that is quickly used up."""
    with payment_server(tmp_path_factory.mktemp("payment")) as running:
        running.run("from billing.models import Plan; Plan.objects.filter(label='Free').update(included_credits=1)")
        yield running


@pytest.fixture
def page(browser: Browser, paid: PaymentServer) -> Iterator[Page]:
    """A page of the product, which may go to Stripe and nowhere else."""
    context = browser.new_context(base_url=paid.product.url)
    context.set_default_timeout(10_000)
    opened = context.new_page()
    faults: list[str] = []
    opened.on("pageerror", lambda error: faults.append(str(error)))
    ours = (paid.product.url, paid.stripe.url, "data:")
    opened.on("request", lambda sent: None if sent.url.startswith(ours) else faults.append(sent.url))
    yield opened
    context.close()
    assert not faults


def call(paid: PaymentServer, key: str, picture: bytes) -> requests.Response:
    return paid.product.rmbg(key, files={"image": picture}, data={"w": "32"})


def test_free_upgrade_pack_and_cancel(page: Page, paid: PaymentServer, small_png: bytes):
    sign_up(page, paid.product, "payer@example.com")
    key = make_key(page)
    assert call(paid, key, small_png).status_code == 200
    refused = call(paid, key, small_png)
    assert (refused.status_code, refused.json()["code"]) == (429, "monthly_limit_reached")

    page.goto("/pricing")
    page.get_by_role("button", name="Choose Premium-1000").click()
    page.get_by_role("button", name="Pay with a failing card").click()
    expect(page.get_by_role("alert")).to_contain_text("declined")
    page.get_by_role("button", name="Pay", exact=True).click()
    expect(page.get_by_role("heading", name="Billing")).to_be_visible()
    expect(page.locator("dd").first).to_contain_text("Premium-1000")
    assert call(paid, key, small_png).status_code == 200

    page.get_by_role("link", name="Buy credits").click()
    page.get_by_role("button", name="Buy 100 credits").click()
    with page.expect_request(re.compile("checkout/done")) as landing:
        page.get_by_role("button", name="Pay", exact=True).click()
    prepaid = page.locator("dt", has_text="Prepaid").locator("xpath=following-sibling::dd")
    expect(prepaid).to_have_text("100")
    page.goto(landing.value.url)
    expect(prepaid).to_have_text("100")

    page.get_by_role("button", name="Manage payment and plan").click()
    page.get_by_role("button", name="Switch to Premium-5000").click()
    paid.stripe.wait()
    page.get_by_role("link", name="Return").click()
    expect(page.locator("dd").first).to_contain_text("Premium-5000")
    expect(page.get_by_text("of 5,000")).to_be_visible()

    page.get_by_role("button", name="Manage payment and plan").click()
    page.get_by_role("button", name="Cancel at period end").click()
    paid.stripe.wait()
    page.get_by_role("link", name="Return").click()
    expect(page.get_by_text("Cancelled")).to_be_visible()
    assert paid.product.manage("reconcile", "--stripe").strip() == "ok"

    paid.stripe.advance(paid.stripe.now + 32 * 24 * 3600)
    paid.stripe.wait()
    page.reload()
    expect(page.locator("dd").first).to_have_text("Free")
    expect(prepaid).to_have_text("100")
    assert paid.product.manage("reconcile", "--stripe").strip() == "ok"


def test_a_stranger_sees_nothing_of_a_checkout(page: Page, paid: PaymentServer):
    session = paid.open_checkout("owner@example.com", "pack__credits=100")
    paid.stripe.pay(session)
    sign_up(page, paid.product, "stranger@example.com")
    answer = page.goto(f"/billing/checkout/done?session_id={session}")
    assert answer is not None
    assert answer.status == 404
