"""A deployment with its own name, logo and colour, in a browser."""

from collections.abc import Iterator
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page

from lib.brand.colours import accents
from tests.browser.chromium import DESKTOP, PHONE
from tests.browser.page_checks import check_page, settle
from tests.server import ProductServer

pytestmark = pytest.mark.browser

# Of little contrast on white: what is shown differs from it there.
COLOUR = "#ffd400"
NAME = "Acme Freisteller & Bildbearbeitung GmbH"
LOGO = """<svg xmlns="http://www.w3.org/2000/svg" width="120" height="40" onload="document.documentElement.id='ran'">
<script>document.documentElement.id = "ran"; fetch("/status.json")</script>
<style>circle { fill: #e11d48 }</style><circle cx="20" cy="20" r="18"/>
<image href="https://elsewhere.example/pixel.png" width="9" height="9"/></svg>"""


@pytest.fixture(scope="module")
def branded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProductServer]:
    folder = tmp_path_factory.mktemp("branded")
    (folder / "logo.svg").write_text(LOGO)
    brand = {"SITE_NAME": NAME, "SITE_COLOR": COLOUR, "SITE_LOGO": str(folder / "logo.svg")}
    server = ProductServer(folder, brand).start()
    yield server
    server.stop()


@pytest.fixture
def visited(browser: Browser, branded: ProductServer) -> Iterator[Page]:
    context = browser.new_context(base_url=branded.url, viewport=DESKTOP)
    context.set_default_timeout(10_000)
    yield context.new_page()
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_links_and_buttons_have_its_readable_colour(visited: Page, scheme: Literal["light", "dark"]):
    faults: list[str] = []
    visited.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
    visited.emulate_media(color_scheme=scheme)
    visited.goto("/pricing")
    settle(visited)
    expected = accents(COLOUR)[scheme == "dark"].accent
    shown = visited.locator(".button").first.evaluate("one => getComputedStyle(one).backgroundColor")
    assert shown == f"rgb({', '.join(str(channel) for channel in bytes.fromhex(expected[1:]))})"
    for size in (DESKTOP, PHONE):
        visited.set_viewport_size(size)
        check_page(visited)
    assert not faults


def test_the_logo_is_shown_next_to_the_name_even_on_a_phone(visited: Page):
    visited.set_viewport_size(PHONE)
    visited.goto("/pricing")
    logo = visited.locator("header .brand > img")
    assert logo.evaluate("one => one.complete && one.naturalWidth > 0")
    box = logo.bounding_box()
    assert box is not None
    assert (box["width"], box["height"]) == (78, 26)
    assert visited.locator("header .brand").inner_text() == NAME
    assert visited.title().endswith(NAME)


def test_a_logo_that_is_opened_directly_runs_no_script_and_loads_nothing(visited: Page):
    visited.goto("/pricing")
    address = visited.locator("header .brand > img").get_attribute("src")
    refused: dict[str, str | None] = {}
    visited.on("requestfailed", lambda request: refused.update({request.url: request.failure}))
    visited.goto(str(address), wait_until="load")
    assert visited.locator("circle").evaluate("one => getComputedStyle(one).fill") == "rgb(225, 29, 72)", "it is shown"
    assert visited.locator("svg").get_attribute("id") is None
    assert refused == {"https://elsewhere.example/pixel.png": "csp"}
