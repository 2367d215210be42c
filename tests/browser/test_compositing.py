"""The editor and the API make the same of an image and its matte."""

import base64
import io
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter
from playwright.sync_api import Error, Page

from imaging.core.codecs.headers import read_header
from imaging.core.matting.matte import Prediction
from imaging.core.options import CutoutOptions
from imaging.core.pipeline import cut_out
from tests.browser.chromium import DESKTOP
from tests.conftest import encoded
from tests.imaging.core.profiles import DISPLAY_P3, rgb_profile, seen

pytestmark = [
    pytest.mark.browser,
    # Pixels do not depend on the window.
    pytest.mark.parametrize("page", [DESKTOP], indirect=True, ids=["desktop"]),
]

EXPORT = """async ({image, matte, type, options}) => {
  const { Picture } = await import('/static/imaging/picture.js');
  const blob = (text, type) => new Blob([Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0))], { type });
  const picture = new Picture(new File([blob(image, type)], 'photo', { type }));
  await picture.read();
  picture.matte = blob(matte, 'image/png');
  const bytes = new Uint8Array(await (await picture.export(options)).arrayBuffer());
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}"""

CASES: dict[str, dict[str, Any]] = {
    "as it is": {},
    "one side": {"width": 100},
    "fit inside": {"width": 300, "height": 50},
    "enlarged": {"height": 400},
    "distorted": {"width": 90, "height": 160, "exact_resize": True},
    "quarter turn": {"angle": 90.0},
    "quarter turn, cropped": {"angle": -90.0, "expand": False},
    "upside down": {"angle": 180.0},
    "tilted": {"angle": 30.0},
    "tilted, cropped": {"angle": -20.0, "expand": False},
    "tilted and resized": {"angle": 15.0, "width": 120},
    "on a colour": {"background": (0, 128, 255, 255), "angle": 30.0},
    "mask": {"mask": True},
    "mask, tilted": {"mask": True, "angle": 30.0, "width": 150},
    "JPEG": {"format": "jpeg"},
    "BMP": {"format": "bmp", "width": 101},
    "BMP on a colour": {"format": "bmp", "background": (200, 30, 30, 255)},
    "WebP": {"format": "webp", "background": (255, 255, 255, 255)},
}


class SoftMatte:
    """A model with one answer: an ellipse with a soft edge."""

    name = "soft"

    def predict(self, image: Image.Image) -> Prediction:
        matte = Image.new("L", image.size)
        width, height = image.size
        ImageDraw.Draw(matte).ellipse((width * 0.2, height * 0.1, width * 0.7, height * 0.9), fill=255)
        return Prediction(matte.filter(ImageFilter.GaussianBlur(3)), self.name, 1.0)


def by_the_api(image: bytes, **options: Any) -> Image.Image:
    file = io.BytesIO(image)
    header = read_header(file)
    return Image.open(io.BytesIO(cut_out(file, header, CutoutOptions(**options), SoftMatte()).data))


def by_the_editor(page: Page, image: bytes, **options: Any) -> Image.Image:
    fields = asdict(CutoutOptions(**options))
    colour = fields["background"]
    sent = {
        "format": fields["format"], "w": fields["width"], "h": fields["height"],
        "fit": "exact" if fields["exact_resize"] else "inside",
        "mask": fields["mask"], "bg_color": colour and "#" + bytes(colour[:3]).hex(), "angle": fields["angle"],
        "expand": fields["expand"],
    }  # fmt: skip
    matte = encoded(by_the_api(image, mask=True, format="png"))
    texts = {"image": base64.b64encode(image).decode(), "matte": base64.b64encode(matte).decode()}
    answer = page.evaluate(
        EXPORT, {**texts, "type": "image/" + str(Image.open(io.BytesIO(image)).format).lower(), "options": sent}
    )
    return Image.open(io.BytesIO(base64.b64decode(answer)))


def difference(one: Image.Image, other: Image.Image) -> float:
    """The mean difference of premultiplied pixels, 0-255: what shows on black."""
    arrays = [
        np.asarray(image.convert("RGBA").convert("RGBa").getchannel(band), float)
        for image in (one, other)
        for band in range(4)
    ]
    return float(np.mean([np.abs(a - b).mean() for a, b in zip(arrays[:4], arrays[4:], strict=True)]))


@pytest.fixture
def crop(photo: bytes) -> Image.Image:
    """A piece of a photograph with a face, hair and a flag, with odd side lengths."""
    return Image.open(io.BytesIO(photo)).crop((60, 0, 261, 140))


def test_they_agree_on_colours_where_the_image_has_a_wide_profile(page: Page, crop: Image.Image):
    image = encoded(crop, "PNG", icc_profile=rgb_profile(DISPLAY_P3))
    page.goto("/")
    for format in ("bmp", "png"):
        options = {"format": format, "background": (0x33, 0x66, 0xCC, 255)}
        results = (by_the_api(image, **options), by_the_editor(page, image, **options))
        expected, got = (Image.fromarray(seen(result).astype(np.uint8)) for result in results)
        assert got.getpixel((0, 0)) == (0x33, 0x66, 0xCC)
        assert difference(got, expected) < 1, format


def test_the_editor_and_the_api_agree(page: Page, crop: Image.Image):
    image = encoded(crop)
    page.goto("/")
    for name, options in CASES.items():
        expected = by_the_api(image, **{"format": "png", **options})
        got = by_the_editor(page, image, **{"format": "png", **options})
        assert got.size == expected.size, name
        assert got.format == expected.format, name
        assert difference(got, expected) < 1, name


def test_a_picture_that_lies_on_its_side_is_cut_out_upright(page: Page, crop: Image.Image):
    exif = Image.Exif()
    exif[0x0112] = 6
    image = encoded(crop, "JPEG", quality=95, exif=exif)
    page.goto("/")
    got, expected = by_the_editor(page, image, format="png"), by_the_api(image, format="png")
    assert got.size == expected.size == (140, 201)
    assert difference(got, expected) < 1.5


def test_a_pictures_own_transparency_counts_once(page: Page, crop: Image.Image):
    crop.putalpha(Image.linear_gradient("L").resize(crop.size))
    image = encoded(crop)
    page.goto("/")
    got, expected = by_the_editor(page, image, format="png"), by_the_api(image, format="png")
    assert difference(got, expected) < 1


def test_a_side_that_would_be_too_long_is_said_in_a_sentence(page: Page):
    image = encoded(Image.new("RGB", (20, 60), "orange"))
    page.goto("/")
    with pytest.raises(Error, match="10000 × 30000 pixels; at most 10,000 per side are possible"):
        by_the_editor(page, image, format="png", width=10_000)


def test_a_canvas_that_the_browser_cannot_hold_is_said_in_a_sentence(page: Page):
    page.goto("/")
    make = "import('/static/imaging/canvas.js').then(({ makeCanvas }) => { makeCanvas({ width: 40000, height: 40000 }) })"
    with pytest.raises(Error, match="40000 × 40000 pixels are too many for this browser"):
        page.evaluate(make)
