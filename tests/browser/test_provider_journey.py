"""Log-in with an OpenID provider, from the button to the profile, in a real browser and with a provider on loopback."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.chromium import DESKTOP, PHONE
from tests.browser.page_checks import check_page, settle
from tests.fakes.openid_provider import OpenIDProvider
from tests.server import ProductServer

pytestmark = pytest.mark.browser

PASSWORD = "correct horse battery staple"


@pytest.fixture(scope="module")
def provider() -> Iterator[OpenIDProvider]:
    running = OpenIDProvider()
    for subject in ("ada", "grace", "joan"):
        running.add(subject, f"{subject}@example.com")
    running.add("mallory", "victim@example.com", verified=False)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, provider: OpenIDProvider) -> Iterator[ProductServer]:
    """The product with that provider."""
    running = ProductServer(tmp_path_factory.mktemp("site"), provider.environment()).start()
    yield running
    running.stop()


@pytest.fixture
def visit(browser: Browser, site: ProductServer) -> Iterator[BrowserContext]:
    """A new visitor's browser. Fails the test on any console error, exception or request to a third party."""
    context = browser.new_context(base_url=site.url, viewport=DESKTOP, locale="en")
    context.set_default_timeout(10_000)
    faults: list[str] = []
    context.on("weberror", lambda error: faults.append(str(error.error)))
    context.on("console", lambda said: faults.append(said.text) if said.type == "error" and "403" not in said.text else None)
    context.on("request", lambda sent: faults.append(sent.url) if "://127.0.0.1:" not in sent.url else None)
    yield context
    context.close()
    assert not faults


def go_to_provider(page: Page, start: str = "/accounts/login/") -> None:
    page.goto(start)
    page.get_by_role("button", name="Continue with Example ID").click()
    expect(page.get_by_role("heading", name="Example ID")).to_be_visible()


def log_in(page: Page, subject: str, start: str = "/accounts/login/") -> None:
    go_to_provider(page, start)
    page.get_by_role("link", name=f"Continue as {subject}").click()


def log_out(page: Page) -> None:
    page.goto("/accounts/logout/")
    page.get_by_role("main").get_by_role("button", name="Log out").click()
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()


def test_sign_up_log_out_and_log_in_again(visit: BrowserContext, site: ProductServer):
    page = visit.new_page()
    log_in(page, "ada", "/accounts/signup/?next=/profile/keys")
    expect(page).to_have_url(f"{site.url}/profile/keys")
    page.get_by_label("Name").fill("Web shop")
    page.get_by_role("button", name="Create key").click()
    expect(page.locator("#key-text")).to_have_text(re.compile("rmbg_"))
    page.goto("/dashboard")
    expect(page.get_by_text("Free", exact=True).first).to_be_visible()
    page.goto("/profile")
    expect(page.get_by_text("ada@example.com")).to_be_visible()
    expect(page.get_by_text("Example ID")).to_be_visible()
    log_out(page)
    log_in(page, "ada")
    expect(page.get_by_role("heading", name="Dashboard")).to_be_visible()
    page.goto("/profile/keys")
    expect(page.get_by_role("rowheader", name="Web shop")).to_be_visible()


def test_an_existing_verified_account_is_joined_and_its_owner_can_disconnect(visit: BrowserContext, site: ProductServer):
    site.issue_key("grace@example.com", plan="Free")
    page = visit.new_page()
    log_in(page, "grace")
    page.goto("/profile/keys")
    expect(page.locator(".list tbody tr")).to_have_count(1)
    page.goto("/profile/connections")
    page.get_by_role("button", name="Disconnect Example ID").click()
    expect(page.get_by_text("This is your only way to log in. Set a password first.")).to_be_visible()
    settle(page)
    check_page(page)
    page.get_by_role("link", name="Set one").click()
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("Password (again)").fill(PASSWORD)
    page.get_by_role("button", name="Set password").click()
    page.goto("/profile/connections")
    page.get_by_role("button", name="Disconnect Example ID").click()
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_text("Disconnected. It is no longer a way to log in.")).to_be_visible()
    page.get_by_role("button", name="Continue with Example ID").click()
    page.get_by_role("link", name="Continue as grace").click()
    expect(page.get_by_text("You can log in with Example ID now.")).to_be_visible()
    settle(page)
    check_page(page)


def test_an_address_that_is_not_verified_there_gets_no_account(visit: BrowserContext, site: ProductServer):
    site.issue_key("victim@example.com", plan="Free")
    page = visit.new_page()
    log_in(page, "mallory")
    expect(page.get_by_role("heading", name="We need a verified address")).to_be_visible()
    check_page(page)
    page.goto("/dashboard")
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()


def test_who_signed_up_with_anothers_address_is_shut_out(browser: Browser, visit: BrowserContext, site: ProductServer):
    trap = browser.new_context(base_url=site.url)
    attacker = trap.new_page()
    attacker.goto("/accounts/signup/")
    attacker.get_by_label("Email").fill("joan@example.com")
    attacker.get_by_label("Password").fill(PASSWORD)
    attacker.get_by_role("button", name="Sign up").click()
    expect(attacker.get_by_role("heading", name="Check your inbox")).to_be_visible()
    page = visit.new_page()
    log_in(page, "joan")
    expect(page.get_by_role("heading", name="Dashboard")).to_be_visible()
    attacker.goto("/accounts/login/")
    attacker.get_by_label("Email").fill("joan@example.com")
    attacker.get_by_label("Password").fill(PASSWORD)
    attacker.get_by_role("main").get_by_role("button", name="Log in", exact=True).click()
    expect(attacker.get_by_text("are not correct")).to_be_visible()
    trap.close()


def test_the_way_there_and_back_without_a_log_in(visit: BrowserContext):
    page = visit.new_page()
    go_to_provider(page)
    page.go_back()
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    go_to_provider(page)
    page.get_by_role("link", name="Cancel").click()
    expect(page.get_by_role("heading", name="Log-in cancelled")).to_be_visible()
    check_page(page)
    page.goto("/accounts/oidc/openid/login/callback/?state=none&code=none")
    expect(page.get_by_role("heading", name="That did not work")).to_be_visible()
    check_page(page)


def test_refusals_in_arabic_on_a_phone(browser: Browser, site: ProductServer):
    context = browser.new_context(base_url=site.url, viewport=PHONE, locale="ar", color_scheme="dark")
    page = context.new_page()
    page.goto("/accounts/login/")
    page.locator(".providers button").click()
    page.get_by_role("link", name="Continue as mallory").click()
    expect(page.locator("html")).to_have_attribute("dir", "rtl")
    expect(page.locator("main .actions a")).to_have_count(2)
    check_page(page)
    page.goto("/accounts/oidc/openid/login/callback/")
    check_page(page)
    context.close()


def test_the_log_holds_no_code_and_no_state(site: ProductServer, provider: OpenIDProvider):
    log = Path(site.log).read_text()
    assert "/accounts/oidc/openid/login/callback/" in log
    for asked in provider.asked:
        assert asked["state"] not in log
        assert asked["nonce"] not in log
    assert "code=" not in log
