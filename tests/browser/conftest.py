"""A real browser."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from tests.browser.chromium import CHROMIUM, DESKTOP, FLAGS, PHONE
from tests.browser.signed_in import sign_in
from tests.conftest import skip_or_fail
from tests.server import ProductServer


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, headless."""
    if not CHROMIUM.exists():
        skip_or_fail(f"there is no {CHROMIUM}")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield running
        running.close()


@pytest.fixture(params=[DESKTOP, PHONE], ids=["desktop", "phone"])
def page(request: pytest.FixtureRequest, browser: Browser, server) -> Iterator[Page]:
    """A page on our server; fails the test on any console error, exception or request to another host."""
    context = browser.new_context(viewport=request.param, base_url=server.url)
    context.set_default_timeout(10_000)
    opened = context.new_page()
    faults: list[str] = []
    opened.on("console", lambda message: faults.append(message.text) if _is_fault(message) else None)
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.on("request", lambda sent: faults.append(sent.url) if not _is_ours(sent.url, server.url) else None)
    yield opened
    context.close()
    assert not faults


def _is_fault(message: ConsoleMessage) -> bool:
    """Chromium calls every refusal an error. A refused image is not a fault of the page."""
    is_refusal = message.text.startswith("Failed to load resource") and message.location["url"].endswith(
        ("/rmbg", "/api/batches")
    )
    return message.type == "error" and not is_refusal


def _is_ours(url: str, server: str) -> bool:
    return url.startswith((server, "data:", "blob:"))


@pytest.fixture
def editor(page: Page, server: ProductServer, session: str) -> Page:
    """The editor, opened by the customer of the file's `session`."""
    sign_in(page, server, session)
    page.goto("/editor")
    expect(page.get_by_role("button", name="Choose pictures")).to_be_enabled()
    return page
