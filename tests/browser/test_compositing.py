"""The editor and the API make the same of an image and its matte."""

import base64
import io
import logging
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import skimage
from PIL import Image, ImageDraw, ImageFilter
from playwright.sync_api import Error, Page

from imaging.core.codecs.headers import read_header
from imaging.core.matting.matte import Prediction
from imaging.core.options import parse_options
from imaging.core.pipeline import BackgroundImage, cut_out
from tests.browser.chromium import DESKTOP
from tests.browser.drawn_options import draw_options
from tests.conftest import encoded
from tests.examples import EXHAUSTIVE
from tests.imaging.core.profiles import DISPLAY_P3, rgb_profile, seen

pytestmark = [
    pytest.mark.browser,
    # Pixels do not depend on the window.
    pytest.mark.parametrize("page", [DESKTOP], indirect=True, ids=["desktop"]),
]

# The file that the editor makes, and the form that asks the API for the same.
EXPORT = """async ({image, matte, background, type, options}) => {
  const { Picture } = await import('/static/imaging/picture.js');
  const { DEFAULTS, fieldsOf } = await import('/static/imaging/options.js');
  const blob = (text, type) => new Blob([Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0))], { type });
  const picture = new Picture(new File([blob(image, type)], 'photo', { type }));
  await picture.read();
  picture.matte = blob(matte, 'image/png');
  const all = { ...DEFAULTS, ...options, ...(background && { bg_image: blob(background, 'image/png') }) };
  const bytes = new Uint8Array(await (await picture.export(all)).arrayBuffer());
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  return { file: btoa(text), fields: fieldsOf(all).filter(([, value]) => !(value instanceof Blob)) };
}"""

CASES: dict[str, dict[str, Any]] = {
    "as it is": {},
    "one side": {"w": 100},
    "fit inside": {"w": 300, "h": 50},
    "enlarged": {"h": 400},
    "distorted": {"w": 90, "h": 160, "fit": "exact"},
    "quarter turn": {"angle": 90},
    "quarter turn, cropped": {"angle": -90, "expand": False},
    "upside down": {"angle": 180},
    "tilted": {"angle": 30},
    "tilted, cropped": {"angle": -20, "expand": False},
    "tilted and resized": {"angle": 15, "w": 120},
    "on a colour": {"bg_color": "#0080ff", "angle": 30},
    "mask": {"mask": True},
    "mask, tilted": {"mask": True, "angle": 30, "w": 150},
    "JPEG": {"format": "jpeg"},
    "BMP": {"format": "bmp", "w": 101},
    "BMP on a colour": {"format": "bmp", "bg_color": "#c81e1e"},
    "WebP": {"format": "webp", "bg_color": "#ffffff"},
}


PHOTOGRAPHS = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "motorcycle_left.png")
SETTINGS, SEED = 30, 21
# Mean differences, of 255.
MOST = {"png": 1, "bmp": 1, "webp": 1, "jpeg": 2.5}


@cache
def photograph(name: str) -> Image.Image:
    """A small copy of one of scikit-image's photographs, without its profile: see the test of wide profiles."""
    image = Image.open(Path(skimage.__file__).parent / "data" / name).convert("RGB")
    image.info = {}
    image.thumbnail((300, 300))
    return image


class SoftMatte:
    """A model with one answer: an ellipse with a soft edge."""

    name = "soft"

    def predict(self, image: Image.Image) -> Prediction:
        matte = Image.new("L", image.size)
        width, height = image.size
        ImageDraw.Draw(matte).ellipse((width * 0.2, height * 0.1, width * 0.7, height * 0.9), fill=255)
        return Prediction(matte.filter(ImageFilter.GaussianBlur(3)), self.name, 1.0)


def by_the_api(image: bytes, fields: Mapping[str, str], background: bytes | None = None) -> Image.Image:
    options, problems = parse_options(fields, ("bg_image",) if background else ())
    assert not problems
    file, behind = io.BytesIO(image), background and io.BytesIO(background)
    laid = BackgroundImage(behind, read_header(behind)) if behind else None
    return Image.open(io.BytesIO(cut_out(file, read_header(file), options, SoftMatte(), background=laid).data))


def by_both(page: Page, image: bytes, background: bytes | None = None, **options: Any) -> tuple[Image.Image, Image.Image]:
    """What the editor makes of an image and the options of options.js, and what the API makes of the same."""
    sent = {
        "image": image, "matte": encoded(by_the_api(image, {"mask": "true", "format": "png"})), "background": background,
    }  # fmt: skip
    texts = {name: data and base64.b64encode(data).decode() for name, data in sent.items()}
    type = "image/" + str(Image.open(io.BytesIO(image)).format).lower()
    answer = page.evaluate(EXPORT, {**texts, "type": type, "options": {"format": "png", **options}})
    fields = {name: str(value).lower() for name, value in answer["fields"]}
    return Image.open(io.BytesIO(base64.b64decode(answer["file"]))), by_the_api(image, fields, background)


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
        results = by_both(page, image, format=format, bg_color="#3366cc")
        got, expected = (Image.fromarray(seen(result).astype(np.uint8)) for result in results)
        assert got.getpixel((0, 0)) == (0x33, 0x66, 0xCC)
        assert difference(got, expected) < 1, format


def test_the_editor_and_the_api_agree(page: Page, crop: Image.Image):
    image = encoded(crop)
    page.goto("/")
    for name, options in CASES.items():
        got, expected = by_both(page, image, **options)
        assert got.size == expected.size, name
        assert got.format == expected.format, name
        assert difference(got, expected) < 1, name


def test_they_agree_on_any_options_on_any_photograph(page: Page):
    """Each setting on one photograph in turn; with EXHAUSTIVE=1 on all of them."""
    page.goto("/")
    random, background = Random(SEED), encoded(photograph("retina.jpg"))  # noqa: S311 - no secret
    measured = []
    for number in range(SETTINGS):
        options = draw_options(random)
        behind = background if options.pop("bg_image", None) else None
        for name in PHOTOGRAPHS if EXHAUSTIVE else PHOTOGRAPHS[number % len(PHOTOGRAPHS) :][:1]:
            got, expected = by_both(page, encoded(photograph(name)), behind, **options)
            assert got.size == expected.size, (name, options)
            assert got.format == expected.format, (name, options)
            assert got.info.get("dpi") == pytest.approx(expected.info.get("dpi")), (name, options)
            measured.append((difference(got, expected), options["format"], name, options))
    for format, most in MOST.items():
        found = sorted((row for row in measured if row[1] == format), key=lambda row: row[0])
        row = format, len(found), found[len(found) // 2][0], found[-1][0]
        logging.getLogger(__name__).info("%-4s %3d images: median %.3f, worst %.3f of 255", *row)
        assert found[-1][0] <= most, found[-1]


def test_a_picture_that_lies_on_its_side_is_cut_out_upright(page: Page, crop: Image.Image):
    exif = Image.Exif()
    exif[0x0112] = 6
    image = encoded(crop, "JPEG", quality=95, exif=exif)
    page.goto("/")
    got, expected = by_both(page, image)
    assert got.size == expected.size == (140, 201)
    assert difference(got, expected) < 1.5


def test_a_pictures_own_transparency_counts_once(page: Page, crop: Image.Image):
    crop.putalpha(Image.linear_gradient("L").resize(crop.size))
    page.goto("/")
    assert difference(*by_both(page, encoded(crop))) < 1


def test_a_side_that_would_be_too_long_is_said_in_a_sentence(page: Page):
    image = encoded(Image.new("RGB", (20, 60), "orange"))
    page.goto("/")
    with pytest.raises(Error, match="10000 × 30000 pixels; at most 10,000 per side are possible"):
        by_both(page, image, w=10_000)


def test_a_canvas_that_the_browser_cannot_hold_is_said_in_a_sentence(page: Page):
    page.goto("/")
    make = "import('/static/imaging/canvas.js').then(({ makeCanvas }) => { makeCanvas({ width: 40000, height: 40000 }) })"
    with pytest.raises(Error, match="40000 × 40000 pixels are too many for this browser"):
        page.evaluate(make)
