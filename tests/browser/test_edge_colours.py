"""The browser takes the old background's colour out of an edge as the server does."""

import base64
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter
from playwright.sync_api import Page
from skimage import data

from imaging.core.canvas import in_own_memory
from imaging.core.finishing.edge_colours import decontaminate
from imaging.core.finishing.spreading import spread
from tests.browser.chromium import DESKTOP

pytestmark = [
    pytest.mark.browser,
    # Pixels do not depend on the window.
    pytest.mark.parametrize("page", [DESKTOP], indirect=True, ids=["desktop"]),
]

BYTES = """const bytes = (text) => Uint8ClampedArray.from(atob(text), (letter) => letter.charCodeAt(0));
  const text = (bytes) => { let all = ''; for (const byte of bytes) all += String.fromCharCode(byte); return btoa(all); };"""
DECONTAMINATE = f"""async ({{width, height, pixels, matte}}) => {{
  {BYTES}
  const {{ decontaminate }} = await import('/static/imaging/engine/edge-colours.js');
  const raster = {{ width, height, data: bytes(pixels) }};
  decontaminate(raster, bytes(matte));
  return text(raster.data);
}}"""
SPREAD = f"""async ({{sums, rows, columns}}) => {{
  {BYTES}
  const {{ spread }} = await import('/static/imaging/engine/spreading.js');
  const colours = spread(new Float32Array(bytes(sums).buffer), rows, columns);
  return text(new Uint8Array(colours.buffer));
}}"""
# Both work with different precision, so a value in the middle between two levels may become either.
LARGEST_DIFFERENCE, MEAN_DIFFERENCE = 3, 0.05


def encoded_bytes(content: bytes) -> str:
    return base64.b64encode(content).decode()


def by_the_browser(page: Page, image: Image.Image, matte: Image.Image) -> np.ndarray:
    sent = {"pixels": encoded_bytes(image.convert("RGBA").tobytes()), "matte": encoded_bytes(matte.tobytes())}
    answer = page.evaluate(DECONTAMINATE, {"width": image.width, "height": image.height, **sent})
    return np.frombuffer(base64.b64decode(answer), np.uint8).reshape(image.height, image.width, 4)


def by_the_server(image: Image.Image, matte: Image.Image) -> np.ndarray:
    result = in_own_memory(image.copy())
    decontaminate(result, matte)
    return np.asarray(result.convert("RGBA"))


def photograph(name: str, size: tuple[int, int]) -> Image.Image:
    pixels: Any = getattr(data, name)()
    return Image.fromarray(pixels).convert("RGB").resize(size)


def soft_disc(size: tuple[int, int], blur: float) -> Image.Image:
    matte = Image.new("L", size)
    ImageDraw.Draw(matte).ellipse((size[0] // 5, size[1] // 5, size[0] * 4 // 5, size[1] * 4 // 5), fill=255)
    return matte.filter(ImageFilter.GaussianBlur(blur))


def random_matte(size: tuple[int, int], seed: int) -> Image.Image:
    """Areas of 0, of 255 and of all between, with rough edges."""
    values = np.random.default_rng(seed).normal(128, 400, (12, 12)).clip(0, 255).astype(np.uint8)
    return Image.fromarray(values).resize(size, Image.Resampling.BICUBIC)


def assert_alike(page: Page, image: Image.Image, matte: Image.Image) -> np.ndarray:
    """That both agree; returns where they change a pixel."""
    got, expected = by_the_browser(page, image, matte), by_the_server(image, matte)
    difference = np.abs(got.astype(int) - expected)
    assert difference.max() <= LARGEST_DIFFERENCE
    assert difference.mean() < MEAN_DIFFERENCE
    before = np.asarray(image.convert("RGBA"))
    values = np.asarray(matte)
    kept = (values == 0) | (values == 255)
    assert (got[kept] == before[kept]).all()
    assert (got[..., 3] == before[..., 3]).all()
    return (got != before).any(axis=2)


@pytest.mark.parametrize("size", [(150, 110), (701, 531), (301, 900)])
def test_photographs_get_the_same_colours_as_from_the_server(page: Page, size: tuple[int, int]):
    page.goto("/")
    for name, blur in (("astronaut", 3), ("coffee", 8), ("chelsea", 1)):
        assert assert_alike(page, photograph(name, size), soft_disc(size, blur)).any(), name


def test_random_mattes_do_too(page: Page):
    page.goto("/")
    for seed in range(8):
        size = (240 + 31 * seed, 500 - 29 * seed)
        assert assert_alike(page, photograph("astronaut", size), random_matte(size, seed)).any(), seed


def test_an_images_own_alpha_is_kept_and_counts_as_it_does_on_the_server(page: Page):
    page.goto("/")
    size = (420, 300)
    image = photograph("coffee", size)
    image.putalpha(random_matte(size, 99))
    # What is under transparent pixels may be anything.
    image.paste((255, 255, 0, 0), (0, 0, 140, 300))
    assert assert_alike(page, image, soft_disc(size, 5)).any()


@pytest.mark.parametrize(
    ("size", "grey"),
    [((1, 1), 128), ((1, 40), 90), ((40, 1), 200), ((3, 2), 255), ((2, 3), 0), ((260, 259), 128)],
    ids=str,
)
def test_without_sure_subject_and_background_nothing_changes(page: Page, size: tuple[int, int], grey: int):
    page.goto("/")
    image = photograph("astronaut", size)
    assert not assert_alike(page, image, Image.new("L", size, grey)).any()


@pytest.mark.parametrize("size", [(2, 2), (3, 5), (1, 9), (17, 1), (257, 3), (5, 513)], ids=str)
def test_small_and_thin_images_agree(page: Page, size: tuple[int, int]):
    page.goto("/")
    values = np.resize(np.array([0, 128, 255, 200, 255, 0, 60], np.uint8), size[0] * size[1])
    assert_alike(page, photograph("astronaut", size), Image.fromarray(values.reshape(size[1], size[0])))


@pytest.mark.parametrize("shape", [(1, 1), (2, 1), (3, 7), (16, 16), (45, 30)], ids=str)
def test_colours_are_spread_as_on_the_server(page: Page, shape: tuple[int, int]):
    page.goto("/")
    random = np.random.default_rng(shape)
    sums = random.random((4, *shape), np.float32)
    sums[:, random.random(shape) < 0.6] = 0
    sums[:3] *= sums[3]
    sent = {"sums": encoded_bytes(sums.tobytes()), "rows": shape[0], "columns": shape[1]}
    got = np.frombuffer(base64.b64decode(page.evaluate(SPREAD, sent)), np.float32).reshape(3, *shape)
    assert np.abs(got - spread(sums)).max() < 1e-5
