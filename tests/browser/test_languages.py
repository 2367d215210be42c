"""Arabic, in a real browser: right to left, on desktop and phone, light and dark."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.chromium import DESKTOP, PHONE
from tests.browser.page_checks import check_page, english
from tests.browser.test_accounts_journey import PASSWORD, mailed_link
from tests.server import ProductServer

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def session(browser: Browser, server: ProductServer) -> Any:
    """The cookies of a customer whose browser asks for Arabic, and who has just signed up."""
    context = browser.new_context(base_url=server.url, locale="ar-EG")
    page = context.new_page()
    page.goto("/accounts/signup/")
    page.locator("input[name=email]").fill("layla@example.com")
    page.locator("input[name=password1]").fill(PASSWORD)
    page.get_by_role("button", name="إنشاء حساب").click()
    page.goto(mailed_link(server, "layla@example.com"))
    page.get_by_role("button", name="نعم، أؤكد").click()
    expect(page.get_by_role("heading", name="لوحة المعلومات")).to_be_visible()
    state = context.storage_state()
    context.close()
    return state


@pytest.fixture(params=[DESKTOP, PHONE], ids=["desktop", "phone"])
def viewport(request: pytest.FixtureRequest) -> dict[str, int]:
    return dict(request.param)


@pytest.fixture
def visitor(browser: Browser, server: ProductServer, viewport) -> Iterator[Page]:
    """A page of a visitor who is not logged in and whose browser asks for Arabic."""
    yield from opened(browser, server, viewport)


@pytest.fixture
def customer(browser: Browser, server: ProductServer, viewport, session) -> Iterator[Page]:
    """A page of the customer, in a browser that asks for English: the profile decides."""
    yield from opened(browser, server, viewport, locale="en", storage_state=session)


def opened(browser: Browser, server: ProductServer, viewport: Any, **options: Any) -> Iterator[Page]:
    options = {"locale": "ar"} | options
    context = browser.new_context(viewport=viewport, base_url=server.url, **options)
    yield context.new_page()
    context.close()


def assert_arabic(page: Page) -> None:
    """Arabic from right to left, fitting the window, without axe violations and without a word of English."""
    assert page.evaluate("[document.documentElement.lang, document.documentElement.dir]") == ["ar", "rtl"]
    check_page(page)
    assert not english(page)


def test_setting_up_the_second_factor(customer: Page):
    customer.goto("/accounts/2fa/totp/activate/")
    # The session remembers for a while that its owner has just entered the password.
    if customer.get_by_role("heading", name="هل هذا أنت؟").is_visible():
        assert_arabic(customer)
        customer.locator("input[name=password]").fill(PASSWORD)
        customer.get_by_role("button", name="متابعة").click()
    expect(customer.get_by_role("img", name="رمز QR لتطبيق المصادقة")).to_be_visible()
    assert_arabic(customer)


def test_a_new_key(customer: Page):
    """It is read and copied from left to right."""
    customer.goto("/profile/keys")
    customer.get_by_label("الاسم").fill("Web shop")
    customer.get_by_role("button", name="إنشاء المفتاح").click()
    expect(customer.get_by_role("heading", name="مفتاحك الجديد")).to_be_visible()
    assert_arabic(customer)
    assert customer.locator("#key-text").evaluate("code => getComputedStyle(code).direction") == "ltr"
    customer.context.grant_permissions(["clipboard-read", "clipboard-write"])
    customer.get_by_role("button", name="نسخ").first.click()
    expect(customer.get_by_role("button", name="تم النسخ")).to_be_visible()


def test_switching_to_english_and_back(visitor: Page):
    visitor.goto("/pricing")
    visitor.get_by_role("button", name="English").click()
    expect(visitor.get_by_role("heading", name="Pricing")).to_be_visible()
    assert visitor.evaluate("document.documentElement.dir") == "ltr"
    visitor.get_by_role("button", name="العربية").click()
    expect(visitor.get_by_role("heading", name="الأسعار")).to_be_visible()
