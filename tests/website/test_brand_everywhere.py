"""A deployment under another name: no page, document or banner of it names ours."""

import html
import re
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from PIL import Image

from tests.browser.visits import VISITS, seed
from tests.conftest import encoded
from tests.server import PROVIDERS, ROOT, ProductServer

# They share a server.
pytestmark = pytest.mark.xdist_group("brand_everywhere")

NAME, SUPPORT, COLOUR = "Acme & Söhne <Cutouts>", "help@acme.example", "#7c2d12"
OURS = re.compile("offcut", re.IGNORECASE)
PEOPLE = {visit.who for visit in VISITS}
# What has no page around it.
FILES = [
    "/api/openapi", "/api/openapi?format=yaml", "/robots.txt", "/sitemap.xml", "/status.json", "/language/en.js",
    "/language/ar.js", "/api/models", "/nowhere.txt",
]  # fmt: skip
# Pages that tell customers where to ask.
ASKING = {"not-found", "docs-errors", "privacy", "terms", "cookies", "pricing", "pricing-customer"}


@pytest.fixture(scope="module")
def renamed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProductServer]:
    """The product under another name, with its own logo and colour, which also prints its banner."""
    folder = tmp_path_factory.mktemp("renamed")
    logo = folder / "logo.png"
    logo.write_bytes(encoded(Image.new("RGBA", (80, 40), "teal")))
    brand = {"SITE_NAME": NAME, "SITE_LOGO": str(logo), "SITE_COLOR": COLOUR, "SITE_SUPPORT_EMAIL": SUPPORT}
    server = ProductServer(folder, brand | PROVIDERS | {"DEMO": "1"}).start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def facts(renamed: ProductServer) -> dict[str, Any]:
    return seed(renamed)


def read(server: ProductServer, path: str, language: str, **cookies: str) -> tuple[int, str]:
    """Status and text of an answer."""
    headers = {"Accept-Language": language, "Accept": "*/*"}
    answer = requests.get(server.url + path, headers=headers, cookies=cookies, timeout=30)
    answer.encoding = "utf-8"
    return answer.status_code, answer.text


@pytest.mark.parametrize("language", ["en", "ar"])
@pytest.mark.parametrize("who", sorted(PEOPLE), ids=lambda who: who or "anonymous")
def test_every_page_has_the_operators_name_and_never_ours(renamed, facts, who, language):
    cookies = {"sessionid": facts["sessions"][who]} if who else {}
    for visit in (visit for visit in VISITS if visit.who == who):
        status, text = read(renamed, visit.path.format(**facts), language, **cookies)
        assert status == visit.status, visit
        assert not OURS.search(text), visit
        title = re.search("<title>(.*?)</title>", text, re.DOTALL)
        assert title is not None
        assert NAME in html.unescape(title[1]), visit
        if who != "support":
            assert re.search(r'<img src="/brand/\w+/logo\.png" alt="" width="52" height="26"><bdi>', text), visit
            assert f'<meta property="og:site_name" content="{html.escape(NAME)}">' in text or visit.status == 404
        if visit.name in ASKING:
            assert text.count(f'href="mailto:{SUPPORT}"') >= 2, "in the page, and in its footer"


@pytest.mark.parametrize("path", FILES)
def test_no_file_has_our_name(renamed, path):
    status, text = read(renamed, path, "en")
    assert status == (404 if path == "/nowhere.txt" else 200)
    assert not OURS.search(text)


def test_the_openapi_document_is_the_operators(renamed):
    info = requests.get(f"{renamed.url}/api/openapi", timeout=30).json()["info"]
    assert (info["title"], info["contact"]) == (f"{NAME} API", {"name": NAME, "email": SUPPORT})
    assert info["description"].startswith("Background removal: ")


def test_the_banner_has_the_name(renamed):
    log = renamed.log.read_text()
    assert f"{NAME} is ready on http://127.0.0.1:{renamed.port}" in log
    assert not OURS.search(log)


def test_a_brand_that_cannot_be_shown_stops_the_start(tmp_path):
    broken = ProductServer(tmp_path, {"SITE_LOGO": "/nowhere/logo.svg"})
    with pytest.raises(AssertionError, match="cannot be read: No such file"):
        broken.start()


def test_our_name_is_written_where_operators_change_it_and_nowhere_else():
    """In templates and code it would be another product's name on every other deployment."""
    found = set()
    for folder in ("accounts", "billing", "config", "frontend/css", "imaging", "lib", "templates", "website"):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in (".py", ".html", ".txt", ".js", ".css", ".svg") and OURS.search(path.read_text()):
                found.add(str(path.relative_to(ROOT)))
    assert found == {"config/settings.py", "lib/brand/__init__.py"}
