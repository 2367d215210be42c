"""Files that may be the logo, and what is drawn from them."""

import pytest
from PIL import Image

from lib.brand import DEFAULT_LOGO
from lib.brand.logo import MAX_BYTES, BadLogo, read_logo
from tests.conftest import encoded

SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}"><rect width="9" height="9"/></svg>'
PINK = Image.new("RGBA", (60, 20), "deeppink")


def file(tmp_path, data: bytes):
    path = tmp_path / "logo"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("data", "suffix", "media_type"),
    [
        (SVG.format(width=60, height=20).encode(), "svg", "image/svg+xml"),
        (encoded(PINK, "PNG"), "png", "image/png"),
        (encoded(PINK, "WEBP"), "webp", "image/webp"),
    ],
)
def test_its_kind_is_read_from_the_file_whatever_its_name(tmp_path, data, suffix, media_type):
    logo = read_logo(file(tmp_path, data))
    assert (logo.suffix, logo.media_type, logo.data) == (suffix, media_type, data)
    assert logo.ratio == pytest.approx(3, abs=0.05)


@pytest.mark.parametrize("format", ["PNG", "WEBP"])
def test_it_is_drawn_whole_in_the_middle(tmp_path, format):
    drawn = read_logo(file(tmp_path, encoded(PINK, format))).drawn(30, 30)
    assert (drawn.size, drawn.mode) == ((30, 30), "RGBA")
    assert drawn.getchannel("A").getbbox() == (0, 10, 30, 20)
    assert drawn.getpixel((15, 15))[3] == 255


def test_an_svg_is_drawn_at_any_size():
    drawn = read_logo(DEFAULT_LOGO).drawn(320, 320)
    assert drawn.getchannel("A").getbbox() == (0, 0, 320, 320)
    assert drawn.getpixel((160, 20)) == (0x3D, 0x4F, 0xE0, 255)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "not an SVG, PNG or WebP"),
        (b"GIF89a", "not an SVG, PNG or WebP"),
        (b"<html><body>logo</body></html>", "not an SVG, PNG or WebP"),
        (b"\xff\xfe\x00", "not an SVG, PNG or WebP"),
        (encoded(PINK, "PNG")[:60], "not an SVG, PNG or WebP"),
        (encoded(Image.new("L", (5000, 5000)), "PNG"), "larger than 4096 x 4096"),
        (encoded(Image.new("RGBA", (8, 8)), "PNG"), "shows nothing"),
        (b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>', "shows nothing"),
        (encoded(Image.new("L", (90, 10)), "PNG"), "too wide or too tall"),
        (SVG.format(width=10, height=40).encode(), "too wide or too tall"),
        (b"<svg>" + b" " * MAX_BYTES, "more than 256 kB"),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else None,
)
def test_what_cannot_be_shown_is_refused_with_the_reason(tmp_path, data, why):
    with pytest.raises(BadLogo, match=why):
        read_logo(file(tmp_path, data))


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(BadLogo, match="cannot be read: No such file"):
        read_logo(tmp_path / "missing.svg")
