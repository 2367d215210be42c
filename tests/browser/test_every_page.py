"""What holds for every page: no console error, nothing from other hosts, accessible, light, and fitting its window."""

import gzip
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Response

from tests.browser.chromium import DESKTOP, PHONE
from tests.browser.page_checks import english, is_too_wide, settle, violations
from tests.browser.visits import DOCS, VISITS, Visit, choose_language, seed, visitor
from tests.examples import EXHAUSTIVE
from tests.server import ProductServer
from website.documentation import BY_SLUG

pytestmark = pytest.mark.browser

MAX_BYTES = 150_000
# Swagger UI's own script alone is larger; it loads after the page is shown.
LARGE = {"reference"}
PEOPLE = sorted({visit.who for visit in VISITS})
ENGLISH_ONLY = {"support"}
# The pages share their styles and scripts.
SIZES: dict[str, int] = {}
JOURNEYS = [(who, language) for who in PEOPLE for language in ("en", "ar") if (who, language) != ("support", "ar")]


@pytest.fixture(scope="session")
def facts(server: ProductServer) -> dict[str, Any]:
    return seed(server)


def test_the_tour_knows_every_page_of_the_documentation():
    assert {*BY_SLUG} == {"", *DOCS}


@pytest.mark.parametrize(("who", "language"), JOURNEYS, ids=["-".join(filter(None, journey)) for journey in JOURNEYS])
def test_all_pages_of(who: str, language: str, browser: Browser, server: ProductServer, facts: dict[str, Any]):
    faults: list[str] = []
    with visitor(browser, server, who, facts, viewport=DESKTOP, locale=language) as page:
        if who not in ENGLISH_ONLY:
            choose_language(page, language)
        watch(page, server.url, faults)
        for visit in [visit for visit in VISITS if visit.who == who]:
            faults += [f"{visit.name}: {fault}" for fault in faults_of(page, visit, language, facts)]
    assert not faults, "\n".join(faults)


def watch(page: Page, ours: str, faults: list[str]) -> None:
    """Record the console's errors (including Content-Security-Policy refusals) and requests to other hosts."""

    def note(fault: str) -> None:
        faults.append(f"{page.url}: {fault}")

    page.on("console", lambda said: note(said.text) if said.type == "error" and "404" not in said.text else None)
    page.on("pageerror", lambda error: note(str(error)))
    page.on("request", lambda sent: None if sent.url.startswith((ours, "data:", "blob:")) else note(sent.url))


def faults_of(page: Page, visit: Visit, language: str, facts: dict[str, Any]) -> list[str]:
    """What is wrong with one page, on a desktop in the light scheme and on a phone in the dark one.

    By default axe judges each page once: every other one light in English, the others dark in Arabic.
    """
    on_desktop, on_phone = judged(visit, language)
    loaded: list[Response] = []
    page.set_viewport_size(DESKTOP)
    page.emulate_media(color_scheme="light")
    note = lambda response: loaded.append(response)  # noqa: E731  (Playwright cannot take a built-in method)
    page.on("response", note)
    answer = page.goto(visit.path.format(**facts), wait_until="load")
    if visit.ready:
        page.locator(visit.ready).wait_for()
    page.remove_listener("response", note)
    faults = [] if answer and answer.status == visit.status else [f"status {answer and answer.status}"]
    if on_desktop:
        faults += [f"desktop, light: {one}" for one in violations(page)]
    page.set_viewport_size(PHONE)
    page.emulate_media(color_scheme="dark")
    settle(page)
    if on_phone:
        faults += [f"phone, dark: {one}" for one in violations(page)]
    if is_too_wide(page):
        faults.append("wider than a phone")
    direction = "rtl" if language == "ar" else "ltr"
    if (page.get_attribute("html", "lang") or "")[:2] != language or page.get_attribute("html", "dir") != direction:
        faults.append("in the wrong language or direction")
    if language == "ar" and (left := english(page)):
        faults.append(f"words of English: {sorted(left)}")
    size = sum(compressed_size(response) for response in loaded)
    if size > MAX_BYTES and visit.name not in LARGE:
        faults.append(f"{size} bytes compressed without its pictures")
    return faults


def judged(visit: Visit, language: str) -> tuple[bool, bool]:
    """Whether axe judges the page in this language on a desktop, and on a phone."""
    if EXHAUSTIVE:
        return True, True
    on_desktop = VISITS.index(visit) % 2 == 0
    if visit.who in ENGLISH_ONLY:
        return on_desktop, not on_desktop
    return on_desktop and language == "en", not on_desktop and language == "ar"


def compressed_size(response: Response) -> int:
    """The bytes of a document, style or script after gzip; images do not count."""
    kind = response.request.resource_type
    if kind not in ("document", "stylesheet", "script") or not response.ok:
        return 0
    if kind == "document":
        return len(gzip.compress(response.body()))
    if response.url not in SIZES:
        SIZES[response.url] = len(gzip.compress(response.body()))
    return SIZES[response.url]
