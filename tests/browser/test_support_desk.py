"""A support person's morning: log in, find the customer by whatever they quote, give credits, read the trail."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.chromium import DESKTOP
from tests.browser.test_accounts_journey import PASSWORD, assert_fits
from tests.browser.windows import in_one_window
from tests.server import ProductServer

pytestmark = pytest.mark.browser

CUSTOMER = "desk-customer@example.com"
MAKE = """
from django.contrib.auth.models import Group
from accounts.models import ApiKey, User
from billing.credits import ledger
from billing.models import RequestRecord, StripeCustomer, StripeEvent
for email, group in (("desk-support@example.com", "Support"), ("desk-reader@example.com", "Readers"), ("{customer}", None)):
    user = User.objects.create_user(email, "{password}", is_staff=group is not None)
    user.verify_email()
    if group:
        user.groups.add(Group.objects.get(name=group))
account = ledger.get_account(user)
StripeCustomer.objects.create(account=account, stripe_id="cus_desk1")
StripeEvent.objects.create(
    account=account, stripe_id="evt_desk1", type="invoice.paid", object_id="in_desk1", status="failed", error="no answer"
)
key, text = ApiKey.objects.issue(user, name="shop")
for request_id, code in (("desk-request-1", ""), ("desk-request-2", "image_too_large")):
    ledger.post(ledger.hold(account, channel="api", key=key, request_id=request_id))
    RequestRecord.objects.create(
        account=account, key=key, channel="api", request_id=request_id, status=400 if code else 200, code=code,
        duration_ms=700,
    )
print(text.text)
"""


@pytest.fixture(scope="module")
def customer_key(server: ProductServer) -> Iterator[str]:
    """The full key of a customer with a history; also creates two members of staff."""
    code = MAKE.format(customer=CUSTOMER, password=PASSWORD)
    yield server.manage("shell", "--no-imports", "-c", code).strip()


def log_in(page: Page, email: str) -> None:
    page.goto("/admin/")
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="Pictures today")).to_be_visible()


def search(page: Page, term: str) -> None:
    page.get_by_role("searchbox", name="Find a customer").fill(term)
    page.get_by_role("button", name="Search").click()


@in_one_window
def test_support_finds_the_customer_and_gives_credits(page: Page, server: ProductServer, customer_key: str):
    log_in(page, "desk-support@example.com")
    lookup, secret = customer_key.split("_")[1:]
    heading = page.get_by_role("heading", name=CUSTOMER)
    for term in ("desk-request-1", f"rmbg_{lookup}", customer_key, "cus_desk1", "in_desk1", CUSTOMER, "desk-cust"):
        page.goto("/admin/")
        search(page, term)
        expect(heading).to_be_visible()
        assert secret not in page.url
        assert secret not in page.content()
    page.goto("/admin/")
    search(page, "desk-request-2")
    requests = page.locator("#requests tbody tr")
    expect(requests).to_have_count(1)
    expect(requests).to_contain_text("image_too_large")
    expect(requests).to_have_class("marked")
    reason = f"Ticket 12 at {page.viewport_size['width']}"
    page.get_by_role("link", name="Give or take credits").click()
    page.get_by_label("Credits").fill("25")
    page.get_by_label("Reason").fill(reason)
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_text(re.compile(r"The prepaid balance goes from \d+ to \d+"))).to_be_visible()
    page.get_by_role("button", name="Give or take credits").click()
    expect(page.get_by_text("Prepaid credits +25.", exact=True)).to_be_visible()
    expect(page.locator("#ledger tbody tr").first).to_contain_text(f"{reason} (desk-support@example.com)")
    expect(page.locator("#audit tbody tr").first).to_contain_text(f"Prepaid credits +25. Reason: {reason}")
    assert_fits(page)
    lines = [line for line in server.log.read_text().splitlines() if line.startswith("{")]
    assert not [line for line in lines if secret in line]


@in_one_window
def test_nothing_found_says_what_can_be_searched(page: Page, customer_key: str):
    log_in(page, "desk-support@example.com")
    search(page, "no-such-thing")
    expect(page.get_by_role("status")).to_have_text("Nothing found.")
    expect(page.get_by_role("heading", name="What can be searched")).to_be_visible()
    search(page, "desk-")
    expect(page.get_by_role("link", name=CUSTOMER)).to_be_visible()
    assert_fits(page)


@in_one_window
def test_a_reader_sees_and_does_not_act(page: Page, customer_key: str):
    log_in(page, "desk-reader@example.com")
    search(page, CUSTOMER)
    expect(page.get_by_role("heading", name="Audit trail")).to_be_visible()
    expect(page.get_by_role("link", name="Give or take credits")).to_have_count(0)
    # A refusal is an error in the browser's console, which would fail the page: it is requested outside the page.
    refused = page.request.get(f"{page.url.partition('change/')[0]}act/credits/")
    assert refused.status == 403


@pytest.mark.parametrize("page", [DESKTOP], indirect=True, ids=["desktop"])
def test_no_page_of_the_admin_breaks_the_content_security_policy(page: Page, customer_key: str):
    log_in(page, "desk-support@example.com")
    links = page.locator("#content-main a, .desk-day a").evaluate_all("all => all.map(link => link.href)")
    assert len(links) > 20
    for link in dict.fromkeys(links):
        page.goto(link)
        assert_fits(page)
        rows = page.locator("#result_list tbody th a")
        if rows.count():
            page.goto(rows.first.evaluate("link => link.href"))
            assert_fits(page)
