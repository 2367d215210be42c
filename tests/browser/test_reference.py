"""The interactive reference: a person puts in a key, picks a file, sends a real request and sees the picture."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

PHOTO = Path(__file__).parent.parent.parent / "imaging/static/imaging/samples/astronaut.jpg"

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("server")]


def test_try_it_out(page: Page, server_key: str):
    page.goto("/api/docs")
    page.get_by_role("button", name="Authorize").first.click()
    page.locator("#api_key_value").fill(server_key)
    page.get_by_role("button", name="Apply credentials").first.click()
    page.get_by_role("button", name="Close").last.click()
    operation = page.locator("#operations-Images-removeBackground")
    operation.locator(".opblock-summary-control").click()
    operation.locator("input[type=file]").set_input_files(PHOTO)
    operation.get_by_role("button", name="Execute").click()
    picture = operation.locator(".live-responses-table img")
    expect(picture).to_be_visible(timeout=30_000)
    assert picture.evaluate("image => image.naturalWidth") == 512
    expect(operation.locator(".live-responses-table .response-col_status").last).to_contain_text("200")


def test_the_key_is_kept_in_memory_only(page: Page, server_key: str):
    page.goto("/api/docs")
    page.get_by_role("button", name="Authorize").first.click()
    page.locator("#api_key_value").fill(server_key)
    page.get_by_role("button", name="Apply credentials").first.click()
    assert page.evaluate("JSON.stringify({...localStorage, ...sessionStorage})") == "{}"
    assert page.context.cookies() == []
