"""The documentation in a browser: tabs, copying, the reader's own key, and access for everyone."""

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect

from tests.browser.page_checks import is_too_wide
from tests.browser.windows import in_one_window

pytestmark = pytest.mark.browser

PASSWORD = "correct horse battery staple"
PATHS = [
    "/docs", "/docs/rmbg", "/docs/samples", "/docs/errors", "/docs/limits", "/docs/credits", "/docs/membership-usage",
    "/privacy", "/terms", "/cookies",
]  # fmt: skip
STORED = "JSON.stringify({...localStorage, ...sessionStorage})"
MAKE_READER = f"""
from accounts.models import User
user, made = User.objects.get_or_create(email="reader@example.com")
user.set_password("{PASSWORD}"); user.save(); user.verify_email()
"""


@pytest.fixture(scope="module")
def reader(server) -> str:
    """The e-mail address of a customer on the running product."""
    server.manage("shell", "-c", MAKE_READER)
    return "reader@example.com"


@pytest.fixture
def signed_in(page: Page, reader: str) -> Page:
    page.goto("/accounts/login/")
    page.get_by_label("E-mail").or_(page.locator("[name=login]")).first.fill(reader)
    page.locator("[name=password]").fill(PASSWORD)
    page.locator("[name=password]").press("Enter")
    page.wait_for_url(lambda url: "/accounts/login" not in url)
    return page


def make_key(page: Page) -> str:
    page.goto("/profile/keys")
    page.locator("[name=name]").fill("Docs")
    page.locator("main form button").last.click()
    return page.locator("#key-text").inner_text()


def log_out(page: Page) -> None:
    if not page.locator("header .bar > .site-nav").is_visible():
        page.locator("header summary").click()
    page.locator("form[action$='/logout/'] button").locator("visible=true").click()
    page.wait_for_url("**/accounts/login/**")


@in_one_window
def test_a_chosen_language_is_shown_everywhere_and_remembered(page: Page):
    page.goto("/docs/samples")
    page.locator("#cutout-python-tab").click()
    for task in ("cutout", "white-background", "retry", "usage"):
        expect(page.locator(f"#{task}-python")).to_be_visible()
        expect(page.locator(f"#{task}-curl")).to_be_hidden()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#cutout-node")).to_be_visible()
    page.goto("/docs")
    expect(page.locator("#cutout-node")).to_be_visible()
    assert page.locator("#cutout-node-tab").get_attribute("aria-selected") == "true"


@in_one_window
def test_a_sample_is_copied_as_it_is_shown(page: Page, server):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto("/docs")
    panel = page.locator("#cutout-curl")
    panel.get_by_role("button", name="Copy").click()
    expect(panel.get_by_role("button", name="Copied")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("curl -sS")
    assert copied.endswith(f"{server.url}/rmbg")
    assert copied == panel.locator("code").text_content()


def test_without_a_script_every_sample_is_there(browser: Browser, server):
    context = browser.new_context(java_script_enabled=False, base_url=server.url)
    page = context.new_page()
    page.goto("/docs")
    for language in ("curl", "http", "python", "node", "browser", "php"):
        expect(page.locator(f"#cutout-{language} pre")).to_be_visible()
    expect(page.locator("[data-copy-code]").first).to_be_hidden()
    context.close()


def test_on_a_phone_the_menu_is_a_disclosure(browser: Browser, server):
    context = browser.new_context(viewport=ViewportSize(width=390, height=844), base_url=server.url)
    page = context.new_page()
    page.goto("/docs")
    menu = page.get_by_role("navigation", name="Documentation menu")
    expect(menu).to_be_hidden()
    page.locator(".docs-menu > summary").click()
    menu.get_by_role("link", name="Errors").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Errors")
    context.close()


@in_one_window
def test_a_new_key_is_filled_in_if_its_owner_wants_and_forgotten_at_log_out(signed_in: Page):
    page = signed_in
    sent: list[str] = []
    key = make_key(page)
    page.on("request", lambda request: sent.append(f"{request.url} {request.post_data} {request.headers}"))
    assert key not in page.evaluate(STORED)
    page.get_by_role("button", name="Keep it for the documentation").click()
    page.get_by_role("link", name="Open the documentation").click()
    expect(page.locator("#cutout-curl code")).to_contain_text(f"x-api-key: {key}")
    page.goto("/docs/samples")
    assert key in (page.locator("#retry-python code").text_content() or "")
    expect(page.locator("[data-kept-prefix]")).to_have_text(f"{key[:17]}…")
    assert key not in page.evaluate("JSON.stringify({...localStorage})")
    other_tab = page.context.new_page()
    other_tab.goto("/docs")
    expect(other_tab.locator("#cutout-curl code")).to_contain_text("YOUR_API_KEY")
    log_out(page)
    assert key not in page.evaluate(STORED)
    page.goto("/docs")
    expect(page.locator("#cutout-curl code")).to_contain_text("YOUR_API_KEY")
    assert not [one for one in sent if key in one]


@in_one_window
def test_a_log_out_on_any_page_forgets_the_key(signed_in: Page):
    page = signed_in
    key = make_key(page)
    page.get_by_role("button", name="Keep it for the documentation").click()
    page.goto("/profile")
    log_out(page)
    page.wait_for_function("sessionStorage.length === 0")
    assert key not in page.evaluate(STORED)


@in_one_window
def test_a_pasted_key_is_filled_in_only_if_it_is_the_readers_own(signed_in: Page, server_key: str):
    page = signed_in
    key = make_key(page)
    page.goto("/docs")
    expect(page.locator("[data-your-key]")).to_contain_text(f"{key[:17]}…")
    field, button = page.get_by_label("Your API key"), page.get_by_role("button", name="Fill it in")
    for wrong, answer in [("hello", "This is not a key"), (server_key, "This is not one of your live keys")]:
        field.fill(wrong)
        button.click()
        expect(page.locator("[data-key-says]")).to_contain_text(answer)
        expect(page.locator("#cutout-curl code")).to_contain_text("YOUR_API_KEY")
    field.fill(key)
    button.click()
    expect(page.locator("#cutout-curl code")).to_contain_text(key)
    assert key not in page.url
    page.get_by_role("button", name="Forget it").click()
    expect(page.locator("#cutout-curl code")).to_contain_text("YOUR_API_KEY")
    assert key not in page.evaluate(STORED)


# Words of code in the tables of fields that a line's end divides, of those that fit into any line.
DIVIDED = """() => {
    const range = document.createRange(), found = [];
    for (const code of document.querySelectorAll(".doc-table code")) {
        const texts = document.createTreeWalker(code, NodeFilter.SHOW_TEXT);
        while (texts.nextNode())
            for (const word of texts.currentNode.data.matchAll(/\\w{2,20}/g)) {
                range.setStart(texts.currentNode, word.index);
                range.setEnd(texts.currentNode, word.index + word[0].length);
                if (new Set([...range.getClientRects()].map(box => Math.round(box.top))).size > 1) found.push(word[0]);
            }
    }
    return found;
}"""


@in_one_window
@pytest.mark.parametrize("path", ["/docs/rmbg", "/docs/removebg", "/docs/membership-usage"])
def test_a_short_word_of_code_stays_in_one_line_in_tables_of_any_width(page: Page, path: str):
    page.goto(path)
    for width in (390, 712, 760, 900, 1024, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate(DIVIDED) == [], width
        assert not is_too_wide(page), width
