"""The interactive reference: a user enters a key, picks a file, sends a real request and sees the image."""

from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from tests.browser.chromium import DESKTOP, PHONE
from tests.browser.page_checks import violations
from tests.browser.windows import in_one_window

PHOTO = Path(__file__).parent.parent.parent / "imaging/static/imaging/samples/astronaut.jpg"

pytestmark = pytest.mark.browser


def authorize(page: Page, key: str) -> None:
    page.get_by_role("button", name="Authorize").first.click()
    page.locator("#api_key_value").fill(key)
    page.get_by_role("button", name="Apply credentials").first.click()
    page.get_by_role("button", name="Close").last.click()


def execute(page: Page) -> Locator:
    """Send the photo, and return the element of the response."""
    operation = page.locator("#operations-Images-removeBackground")
    operation.locator(".opblock-summary-control").click()
    operation.get_by_label("image", exact=True).set_input_files(PHOTO)
    operation.get_by_role("button", name="Execute").click()
    return operation.locator(".live-responses-table")


@in_one_window
def test_try_it_out(page: Page, server_key: str):
    page.goto("/api/docs")
    authorize(page, server_key)
    answer = execute(page)
    picture = answer.locator("img")
    expect(picture).to_be_visible(timeout=30_000)
    assert picture.evaluate("image => image.naturalWidth") == 512
    expect(answer.locator(".response-col_status").last).to_contain_text("200")
    expect(answer.locator("figcaption")).to_contain_text("512 × 512 px")
    with page.expect_download() as download:
        answer.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == "astronaut-no-bg.webp"
    with Image.open(download.value.path()) as saved:
        assert (saved.format, saved.mode, saved.size) == ("WEBP", "RGBA", (512, 512))
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]
    assert not violations(page)


@in_one_window
def test_every_answer_shows_its_request_id(page: Page, server_key: str):
    page.goto("/api/docs")
    authorize(page, server_key)
    page.route("**/rmbg", lambda route: route.continue_(headers={**route.request.headers, "x-request-id": "support-42"}))
    usage = page.locator("#operations-Usage-membershipUsage")
    usage.locator(".opblock-summary-control").click()
    usage.get_by_role("button", name="Execute").click()
    expect(usage.locator(".live-responses-table")).to_contain_text("Premium-20000")
    expect(usage.locator(".request-id code")).not_to_be_empty()
    execute(page)
    expect(page.locator("#operations-Images-removeBackground .request-id code")).to_have_text("support-42", timeout=30_000)


@pytest.mark.parametrize(("page", "scheme"), [(DESKTOP, "light"), (PHONE, "dark")], indirect=["page"], ids=["desk", "phone"])
def test_it_is_accessible_closed_open_and_with_its_dialog(page: Page, scheme):
    page.emulate_media(color_scheme=scheme)
    page.goto("/api/docs")
    expect(page.locator("#operations-Images-removeBackground")).to_be_visible()
    assert not violations(page)
    page.get_by_role("button", name="Authorize").first.click()
    assert not violations(page)
    page.get_by_role("button", name="Close").last.click()
    page.locator("#operations-Images-removeBackground .opblock-summary-control").click()
    expect(page.locator("#operations-Images-removeBackground").get_by_label("image", exact=True)).to_be_visible()
    assert not violations(page)


@in_one_window
def test_the_key_is_kept_in_memory_only(page: Page, server_key: str):
    page.goto("/api/docs")
    authorize(page, server_key)
    assert page.evaluate("JSON.stringify({...localStorage, ...sessionStorage})") == "{}"
    assert server_key not in str(page.context.cookies())
