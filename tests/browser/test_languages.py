"""Arabic, in a real browser: from right to left, on a desk and on a phone, by day and by night."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.browser.chromium import DESKTOP, PHONE
from tests.browser.test_accounts_journey import PASSWORD, assert_fits, mailed_link
from tests.server import ProductServer

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("server")]

PUBLIC = [
    "/", "/pricing", "/accounts/signup/", "/accounts/login/", "/accounts/password/reset/", "/accounts/password/reset/done/",
    "/docs", "/docs/rmbg", "/docs/samples", "/docs/errors", "/docs/limits", "/docs/credits", "/docs/membership-usage",
    "/status", "/privacy", "/terms", "/cookies", "/nowhere",
]  # fmt: skip
OWN = [
    "/profile/keys", "/profile", "/profile/delete", "/billing", "/pricing", "/accounts/2fa/", "/accounts/email/",
    "/accounts/password/change/", "/editor", "/dashboard",
]  # fmt: skip
# Names and abbreviations that are the same in Arabic, and the name of the test's key.
KEPT = {
    "API", "UTC", "QR", "Stripe", "Premium", "Web", "shop", "JavaScript", "curl", "Python", "Node", "js", "PHP", "HTTP",
    "CSS", "JSON", "YAML", "CSV", "UUID", "ASCII", "OpenAPI", "IETF", "SHA", "EXIF", "GPS", "ICC", "PNG", "JPEG", "WebP",
    "BMP", "png", "jpeg", "jpg", "webp", "bmp", "net",
}  # fmt: skip
# What a program reads or writes, in texts that cannot set it as code.
CODE = {
    "GET", "POST", "rmbg", "api", "membership", "usage", "Idempotency", "Key", "Retry", "After", "xx", "multipart", "form",
    "data", "image", "application", "json", "yaml", "format", "true", "false", "yes", "no", "on", "off", "details",
    "listBillingCycles", "periodStartUnix", "queue", "decode", "inference", "compose", "encode", "total",
}  # fmt: skip


@pytest.fixture(scope="module")
def session(browser: Browser, server: ProductServer) -> Any:
    """The cookies of somebody whose browser asks for Arabic, and who has just signed up."""
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
    """A page of somebody who is not logged in and whose browser asks for Arabic."""
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


def assert_sound(page: Page) -> None:
    """Arabic from right to left, fitting the window, without a fault that axe finds and without a word of English."""
    assert page.evaluate("[document.documentElement.lang, document.documentElement.dir]") == ["ar", "rtl"]
    assert_fits(page)
    assert_accessible(page, {})
    page.emulate_media(color_scheme="dark")
    assert_accessible(page, {"runOnly": ["color-contrast"]})
    page.emulate_media(color_scheme="light")
    assert english(page) <= (KEPT | CODE if "/docs" in page.url else KEPT)


def assert_accessible(page: Page, options: dict[str, Any]) -> None:
    results = Axe().run(page, options=options | {"resultTypes": ["violations"]})
    assert results.violations_count == 0, results.generate_report()


def english(page: Page) -> set[str]:
    """The Latin words of a page's text, without code, addresses, names and what is in English on purpose."""
    text = page.evaluate(
        """() => {
            const copy = document.querySelector("body").cloneNode(true);
            copy.querySelectorAll("script, noscript, style, code, bdi, [lang=en], option").forEach(one => one.remove());
            const texts = document.createTreeWalker(copy, NodeFilter.SHOW_TEXT), words = [];
            while (texts.nextNode()) words.push(texts.currentNode.data);
            return words.join(" ");
        }"""
    )
    return set(re.findall(r"[A-Za-z]{2,}", str(text)))


@pytest.mark.parametrize("path", PUBLIC)
def test_pages_for_everybody(visitor: Page, path: str):
    visitor.goto(path)
    assert_sound(visitor)


def test_pages_of_the_account(customer: Page):
    for path in OWN:
        customer.goto(path)
        assert_sound(customer)


def test_setting_up_the_second_factor(customer: Page):
    customer.goto("/accounts/2fa/totp/activate/")
    # The session remembers for a while that its owner has just given the password.
    if customer.get_by_role("heading", name="هل هذا أنت؟").is_visible():
        assert_sound(customer)
        customer.locator("input[name=password]").fill(PASSWORD)
        customer.get_by_role("button", name="متابعة").click()
    expect(customer.get_by_role("img", name="رمز QR لتطبيق المصادقة")).to_be_visible()
    assert_sound(customer)


def test_a_new_key(customer: Page):
    """It is read and copied from left to right."""
    customer.goto("/profile/keys")
    customer.get_by_label("الاسم").fill("Web shop")
    customer.get_by_role("button", name="إنشاء المفتاح").click()
    expect(customer.get_by_role("heading", name="مفتاحك الجديد")).to_be_visible()
    assert_sound(customer)
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
