"""`/brand/…`: logo, icons, link preview and style sheet of the deployment."""

import io
import re

import pytest
from django.test import Client
from PIL import Image

from lib import brand
from tests.conftest import encoded

EVIL = b"""<svg xmlns="http://www.w3.org/2000/svg" width="40" height="40" onload="alert(1)"><script>alert(2)</script>
<rect width="40" height="40" fill="#a21caf"/></svg>"""


def address(name: str) -> str:
    return f"/brand/{brand.current().digest}/{name}"


@pytest.fixture(params=["svg", "png", "webp"])
def own_logo(request, settings, tmp_path) -> str:
    """An operator's logo of each kind; its suffix."""
    path = tmp_path / "logo"
    square = Image.new("RGBA", (40, 40), "#a21caf")
    path.write_bytes(EVIL if request.param == "svg" else encoded(square, request.param.upper()))
    settings.SITE_LOGO = str(path)
    return request.param


def test_the_logo_is_served_as_it_is_with_its_type(client, settings, own_logo):
    response = client.get(address(f"logo.{own_logo}"))
    assert response.content == brand.current().logo.data
    kinds = {"svg": "image/svg+xml", "png": "image/png", "webp": "image/webp"}
    assert response.headers["Content-Type"] == kinds[own_logo]
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert "Vary" not in response.headers


def test_an_svg_that_is_opened_directly_runs_nothing(client, settings, tmp_path):
    path = tmp_path / "logo.svg"
    path.write_bytes(EVIL)
    settings.SITE_LOGO = str(path)
    policy = client.get(address("logo.svg")).headers["Content-Security-Policy"].split("; ")
    assert {"default-src 'none'", "sandbox"} <= set(policy)
    assert not any(part.startswith("script-src") for part in policy)


@pytest.mark.parametrize(("name", "size"), [("apple-touch-icon.png", (180, 180)), ("favicon.ico", (48, 48))])
def test_icons_show_the_logo(client, own_logo, name, size):
    response = client.get(address(name))
    image = Image.open(io.BytesIO(response.content))
    assert image.size == size
    red, green, blue = image.convert("RGB").getpixel((size[0] // 2, size[1] // 2))
    assert abs(red - 0xA2) + abs(green - 0x1C) + abs(blue - 0xAF) < 30


def test_the_favicon_has_the_sizes_that_browsers_look_for(client):
    response = client.get("/favicon.ico", follow=True)
    assert response.headers["Content-Type"] == "image/x-icon"
    assert Image.open(io.BytesIO(response.content)).info["sizes"] == {(16, 16), (32, 32), (48, 48)}


def test_the_link_preview_is_small_and_differs_by_name_and_logo(client, settings, tmp_path):
    seen = set()
    for name in ("Offcut", "Acme <Cutouts> & Co", "قصاصات"):
        settings.SITE_NAME = name
        response = client.get(address("social.jpg"))
        assert Image.open(io.BytesIO(response.content)).size == (1200, 630)
        assert len(response.content) <= 80_000
        seen.add(response.content)
    path = tmp_path / "logo.svg"
    path.write_bytes(EVIL)
    settings.SITE_LOGO = str(path)
    seen.add(client.get(address("social.jpg")).content)
    assert len(seen) == 4


def test_the_accents_are_a_style_sheet_of_the_deployment(client, settings, db):
    assert "accents.css" not in client.get("/pricing").content.decode()
    settings.SITE_COLOR = "#7c2d12"
    html = client.get("/pricing").content.decode()
    assert f'<link rel="stylesheet" href="{address("accents.css")}">' in html
    response = client.get(address("accents.css"))
    assert response.headers["Content-Type"] == "text/css; charset=utf-8"
    rules = re.fullmatch(r":root\{((?:--color-[a-z-]+:light-dark\(#\w{6},#\w{6}\);){4})\}\n", response.content.decode())
    assert rules is not None
    assert rules[1].startswith("--color-accent:light-dark(#7c2d12,")


def test_an_address_of_another_release_gets_our_file_uncached(client):
    response = client.get("/brand/0123456789abcdef/logo.svg")
    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize("name", ["logo.png", "LOGO.svg", "social.svg", "x", "..%2fsettings.py"])
def test_there_are_no_other_files(client, db, name):
    assert client.get(address(name)).status_code == 404


def test_files_need_no_database_and_no_session():
    """Without the fixture no test may query the database."""
    visitor = Client()
    visitor.cookies["sessionid"] = "somebody"
    for name in ("logo.svg", "favicon.ico", "apple-touch-icon.png", "social.jpg", "accents.css"):
        response = visitor.get(address(name), headers={"Accept-Language": "ar"})
        assert response.status_code == 200
        assert "Vary" not in response.headers
    assert visitor.post(address("logo.svg")).status_code == 405
