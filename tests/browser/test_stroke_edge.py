"""The edge of a brush stroke follows the image's edge, where the matte has one near."""

import base64

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter, ImageOps
from playwright.sync_api import Page
from skimage import data

from tests.browser.chromium import DESKTOP

pytestmark = [
    pytest.mark.browser,
    # Pixels do not depend on the window.
    pytest.mark.parametrize("page", [DESKTOP], indirect=True, ids=["desktop"]),
]

REFINE = """async ({width, height, keeps, reach, ...planes}) => {
  const bytes = (text) => Uint8ClampedArray.from(atob(text), (letter) => letter.charCodeAt(0));
  const { refineStroke } = await import('/static/imaging/engine/refine.js');
  const [rgba, before, stroke] = [planes.rgba, planes.before, planes.stroke].map(bytes);
  const after = refineStroke(rgba, before, stroke, width, height, { keeps, reach });
  let text = '';
  for (const byte of after) text += String.fromCharCode(byte);
  return btoa(text);
}"""
REACH = 12
SIZE = (240, 180)


def refined(page: Page, image: Image.Image, before: Image.Image, stroke: Image.Image, *, keeps: bool) -> np.ndarray:
    planes = {"rgba": image.convert("RGBA"), "before": before, "stroke": stroke}
    sent = {name: base64.b64encode(plane.tobytes()).decode() for name, plane in planes.items()}
    answer = page.evaluate(REFINE, {"width": image.width, "height": image.height, "keeps": keeps, "reach": REACH, **sent})
    return np.frombuffer(base64.b64decode(answer), np.uint8).reshape(image.height, image.width)


def plain(before: Image.Image, stroke: Image.Image, *, keeps: bool) -> np.ndarray:
    share, grey = np.asarray(stroke, float) / 255, np.asarray(before, float)
    return np.rint(grey + share * ((255 if keeps else 0) - grey))


def left_part(edge: int) -> Image.Image:
    """A matte whose subject ends at the column `edge`."""
    matte = Image.new("L", SIZE)
    matte.paste(255, (0, 0, edge, SIZE[1]))
    return matte.filter(ImageFilter.GaussianBlur(1))


def line(points: list[tuple[int, int]], width: int) -> Image.Image:
    stroke = Image.new("L", SIZE)
    ImageDraw.Draw(stroke).line(points, fill=255, width=width, joint="curve")
    return stroke.filter(ImageFilter.GaussianBlur(1.5))


def scene(edge: int) -> Image.Image:
    """Blue bricks to the left of the column `edge`, a cat's fur to the right of it."""
    bricks = ImageOps.colorize(Image.fromarray(data.brick()).resize(SIZE), "#102040", "#5078d0")
    return Image.composite(bricks, Image.fromarray(data.chelsea()).resize(SIZE), left_part(edge))


def error(alpha: np.ndarray, truth: Image.Image) -> float:
    rows = slice(30, 150)
    return float(np.abs(alpha[rows].astype(float) - np.asarray(truth, float)[rows]).mean())


@pytest.mark.parametrize("keeps", [False, True], ids=["erase", "keep"])
@pytest.mark.parametrize("offset", [-6, 6])
def test_a_stroke_near_the_edge_ends_at_the_edge(page: Page, keeps: bool, offset: int):
    page.goto("/")
    truth = left_part(120)
    # The matte is 16 pixels off.
    before = left_part(104 if keeps else 136)
    rim = 120 + offset
    middle = rim - 14 if keeps else rim + 14
    stroke = line([(middle, -20), (middle, 200)], 28)
    got = refined(page, scene(120), before, stroke, keeps=keeps)
    assert error(got, truth) < 0.4 * error(plain(before, stroke, keeps=keeps), truth)


def test_a_stroke_far_from_the_mattes_edge_cuts_where_it_was_drawn(page: Page):
    page.goto("/")
    # The image has an edge in the middle of what the matte calls subject.
    before, stroke = Image.new("L", SIZE, 255), line([(125, 30), (125, 150)], 30)
    got = refined(page, scene(120), before, stroke, keeps=False)
    assert np.abs(got - plain(before, stroke, keeps=False)).max() <= 1


def test_a_stroke_on_a_single_colour_stays_as_it_was_drawn(page: Page):
    page.goto("/")
    before, stroke = left_part(120), line([(110, 20), (130, 160)], 24)
    got = refined(page, Image.new("RGB", SIZE, "olive"), before, stroke, keeps=False)
    assert np.abs(got - plain(before, stroke, keeps=False)).max() <= 1


def test_erasing_adds_nothing_and_keeping_takes_nothing_away(page: Page):
    page.goto("/")
    random = np.random.default_rng(0)
    image = scene(120)
    for turn in range(4):
        rough = Image.fromarray(random.normal(128, 300, (9, 12)).clip(0, 255).astype(np.uint8))
        before = rough.resize(SIZE, Image.Resampling.BICUBIC)
        stroke = line([tuple(map(int, random.integers(10, 170, 2))) for _ in range(4)], 20)
        keeps = turn % 2 == 0
        got = refined(page, image, before, stroke, keeps=keeps).astype(int)
        change = got - np.asarray(before, int)
        assert (change >= 0).all() if keeps else (change <= 0).all()
        assert change.any()


@pytest.mark.parametrize("size", [(1, 1), (3, 1), (1, 30), (17, 2)], ids=str)
def test_tiny_windows_are_no_special_case(page: Page, size: tuple[int, int]):
    page.goto("/")
    image, stroke = scene(120).resize(size), Image.new("L", size, 255)
    assert (refined(page, image, Image.new("L", size, 200), stroke, keeps=False) == 0).all()
    assert (refined(page, image, Image.new("L", size, 50), stroke, keeps=True) == 255).all()
