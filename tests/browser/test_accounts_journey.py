"""A customer's first five minutes and their worst day: sign up, read the mail, make a key, call, revoke it."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from playwright.sync_api import Browser, Page, expect

from tests.browser.windows import in_one_window
from tests.server import ProductServer
from tests.services.deployment import Deployment

pytestmark = pytest.mark.browser

PASSWORD = "correct horse battery staple"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, redis_url: str) -> Iterator[tuple[ProductServer, ProductServer]]:
    """Two web processes of one deployment, with the cache in Redis."""
    folder = tmp_path_factory.mktemp("pair")
    first, second = (Deployment(folder, REDIS_URL=redis_url, EMAIL_URL="consolemail://", LOG_LEVEL="INFO") for _ in range(2))
    first.start()
    second.serve()
    yield first, second
    first.stop()
    second.stop()


def mailed_link(server: ProductServer, address: str) -> str:
    """The link in the newest mail to `address`, which the default setup prints."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        _, _, mail = server.log.read_text().rpartition(f"\nTo: {address}\n")
        if found := re.search(r"^http://\S+$", mail, re.MULTILINE):
            return found[0]
        time.sleep(0.1)
    raise AssertionError(f"no mail to {address}:\n{server.log.read_text()}")


def sign_up(page: Page, server: ProductServer, address: str) -> None:
    """From the front page to the dashboard, by the link in the mail, and on to the keys."""
    page.goto("/api/docs")
    # On a phone the links are behind a button.
    menu = page.locator("details.menu > summary")
    if menu.is_visible():
        menu.click()
    page.get_by_role("link", name="Sign up").click()
    page.get_by_label("Email").fill(address)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign up").click()
    expect(page.get_by_role("heading", name="Check your inbox")).to_be_visible()
    page.goto(mailed_link(server, address))
    page.get_by_role("button", name="Yes, confirm").click()
    expect(page.get_by_role("heading", name="Dashboard")).to_be_visible()
    page.goto("/profile/keys")


def make_key(page: Page) -> str:
    """The new key, as the page shows it once."""
    page.get_by_label("Name").fill("Web shop")
    page.get_by_role("button", name="Create key").click()
    # The page's script makes reloading safe, and shows its buttons.
    expect(page.get_by_role("button", name="Copy").first).to_be_visible()
    key = page.locator("#key-text").inner_text()
    assert key in page.locator("#curl-line").inner_text()
    return key


def revoke(page: Page) -> None:
    page.get_by_role("link", name="Revoke Web shop").click()
    page.get_by_role("button", name="Revoke this key").click()
    expect(page.get_by_text("Revoked", exact=True)).to_be_visible()


def assert_fits(page: Page) -> None:
    """Nothing is wider than the window."""
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_from_sign_up_to_the_first_picture_and_the_revoked_key(page: Page, server: ProductServer, photo: bytes):
    address = f"ada{page.viewport_size['width']}@example.com"
    sign_up(page, server, address)
    key = make_key(page)
    assert_fits(page)
    page.reload()
    expect(page.get_by_role("heading", name="New key", exact=True)).to_be_visible()
    assert key not in page.content(), "reloading neither shows the key again nor makes another"
    expect(page.locator(".list tbody tr")).to_have_count(1)
    answer = server.rmbg(key, files={"image": ("photo.jpg", photo)})
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "image/webp")
    page.reload()
    expect(page.locator('[data-label="This month"]')).to_contain_text("1")
    assert_fits(page)
    revoke(page)
    answer = server.rmbg(key, files={"image": ("photo.jpg", photo)})
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid api key")
    assert_fits(page)
    for address in ("/profile", "/profile/delete", "/accounts/email/", "/accounts/2fa/", "/accounts/password/change/"):
        page.goto(address)
        assert_fits(page)


@in_one_window
def test_the_copy_button_copies_the_key(page: Page, server: ProductServer):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    sign_up(page, server, f"copy{page.viewport_size['width']}@example.com")
    key = make_key(page)
    page.get_by_role("button", name="Copy").first.click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == key


def test_a_key_revoked_in_one_process_is_refused_by_the_other_on_the_next_call(
    browser: Browser, pair: tuple[ProductServer, ProductServer], redis_url: str, photo: bytes
):
    first, second = pair
    context = browser.new_context(base_url=first.url)
    page = context.new_page()
    sign_up(page, first, "ada@example.com")
    key = make_key(page)
    assert first.rmbg(key, files={"image": ("photo.jpg", photo)}).status_code == 200
    for _ in range(3):
        assert second.rmbg(key).status_code == 400, "accepted, and remembered in Redis"
    with redis.Redis.from_url(redis_url) as client:
        assert client.keys("*api_key:*")
    page.goto("/profile/keys")
    revoke(page)
    assert [server.rmbg(key).status_code for server in (second, first, second)] == [401, 401, 401]
    context.close()


def test_the_log_of_the_journey_holds_no_secret(server: ProductServer, pair: tuple[ProductServer, ProductServer]):
    """By default mails are printed among the log lines; the log's own lines are JSON."""
    for running in (server, pair[0]):
        lines = [line for line in Path(running.log).read_text().splitlines() if line.startswith("{")]
        assert any("/accounts/confirm-email/" in line for line in lines)
        for line in lines:
            assert PASSWORD not in line
            assert not re.search(r"rmbg_[0-9A-Za-z]{12}_", line)
            assert not re.search(r"/confirm-email/[^/\"\\]", line)
