"""What the editor shows while settings change: the same image as the download, of the latest settings alone."""

import base64
import io
from typing import Any, NamedTuple

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page

from imaging.core.codecs.headers import read_header
from imaging.core.options import parse_options
from imaging.core.pipeline import cut_out
from tests.browser.chromium import DESKTOP
from tests.browser.test_compositing import SoftMatte, by_the_api, difference, photograph
from tests.conftest import encoded

pytestmark = [
    pytest.mark.browser,
    # Pixels do not depend on the window.
    pytest.mark.parametrize("page", [DESKTOP], indirect=True, ids=["desktop"]),
]

OPEN = """async ({image, matte}) => {
  const { Picture } = await import('/static/imaging/picture.js');
  globalThis.blobOf = (text, type) => new Blob([Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0))], { type });
  globalThis.base64 = (blob) => new Promise((done) => {
    const reader = new FileReader();
    reader.onload = () => done(reader.result.split(',')[1]);
    reader.readAsDataURL(blob);
  });
  globalThis.picture = new Picture(new File([blobOf(image, 'image/png')], 'photo', { type: 'image/png' }));
  await picture.read();
  picture.matte = blobOf(matte, 'image/png');
}"""
# Files of the canvases in `wanted`: an encoder takes longer than a preview.
PREVIEW = """async ([options, wanted]) => {
  // As after a pause: a slider that moves gets coarse previews.
  picture.previews.lastAsked = Number.NEGATIVE_INFINITY;
  const { before, after, canvas, subject } = await picture.preview(options);
  const canvases = { before, after };
  const png = (canvas) => new Promise((done) => canvas.toBlob(done, 'image/png')).then(base64);
  const drawn = [before, after].map(({ width, height }) => [width, height]);
  const facts = { canvas, subject, drawn, size: await picture.deliveredSize(options) };
  for (const name of wanted) facts[name] = await png(canvases[name]);
  return facts;
}"""
EXPORT = "async (options) => base64(await picture.export(options))"

LARGE = (1500, 1720)
# Sides in px count in a preview as much as they do in the result: all of them are larger than a preview.
SETTINGS: list[dict[str, Any]] = [
    {},
    {"angle": 20, "expand": False, "crop": True, "crop_margin": "190px 25%"},
    {"fit": "pad", "w": 1800, "h": 1600, "padding": "12%", "shadow": "drop", "shadow_offset": "80px 120px"},
    {"angle": -90, "shadow": "contact", "shadow_blur": "90px", "bg_blur": 50, "scale": 60, "position": "100% 20%"},
]


def decoded(text: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(text)))


class Sample(NamedTuple):
    """The files of a photograph and of its matte."""

    image: bytes
    matte: bytes


def sample(image: Image.Image) -> Sample:
    file = encoded(image, compress_level=1)
    return Sample(file, encoded(by_the_api(file, {"mask": "true", "format": "png"})))


@pytest.fixture(scope="module")
def large() -> Sample:
    """A photograph that is larger than a preview."""
    return sample(photograph("astronaut.png").resize(LARGE, Image.Resampling.BICUBIC))


def opened(page: Page, photo: Sample, script: str = "") -> None:
    """Open a photograph and its matte on a page of the site."""
    if script:
        page.add_init_script(script)
    page.goto("/")
    page.evaluate(OPEN, {name: base64.b64encode(file).decode() for name, file in photo._asdict().items()})


def preview(page: Page, options: dict[str, Any], *wanted: str) -> dict[str, Any]:
    """The facts of a preview, with the pictures that are wanted: `before`, `after`."""
    shown: dict[str, Any] = page.evaluate(PREVIEW, [options, wanted])
    return shown | {name: decoded(shown[name]) for name in wanted}


def test_a_preview_looks_like_the_download(page: Page, large: Sample):
    opened(page, large)
    for options in SETTINGS:
        shown = preview(page, options, "after")
        # Where nothing lies behind it, the preview is transparent, too.
        format = "bmp" if "bg_blur" in options else "png"
        after, result = shown["after"], decoded(page.evaluate(EXPORT, {**options, "format": format}))
        assert max(after.size) == 1400, options
        assert (shown["canvas"]["width"], shown["canvas"]["height"]) == result.size, options
        assert shown["size"] == shown["canvas"], options
        assert shown["drawn"] == [[*after.size]] * 2, options
        small = result.convert("RGBA").convert("RGBa").resize(after.size, Image.Resampling.LANCZOS).convert("RGBA")
        assert difference(after, small) < 3, options


def test_a_preview_reports_the_size_and_the_subjects_box_of_the_api(page: Page, large: Sample):
    opened(page, large)
    for options in (
        {"w": 1700}, {"angle": 20, "w": 900}, {"angle": 90, "expand": False}, {"angle": 33, "expand": False},
        {"fit": "pad", "w": 700, "h": 800, "padding": "12%", "crop": False}, {"scale": 40, "position": "100% 20%"},
    ):  # fmt: skip
        stream = io.BytesIO(large.image)
        fields = {name: str(value).lower() for name, value in options.items()}
        cutout = cut_out(stream, read_header(stream), parse_options(fields)[0], SoftMatte())
        shown = preview(page, options)
        assert shown["canvas"] == {"width": cutout.width, "height": cutout.height}, options
        left, top, width, height = cutout.foreground
        assert shown["subject"] == [left, top, left + width, top + height], options


def test_before_shows_the_photograph_where_the_result_has_it(page: Page, large: Sample):
    opened(page, large)
    for options in ({"angle": 20}, {"angle": 90, "expand": False}, {"crop": True, "crop_margin": "10%"}, {"scale": 40}):
        shown = preview(page, {"format": "png", **options}, "before", "after")
        before, after = (np.asarray(shown[name].convert("RGBA"), int) for name in ("before", "after"))
        inside = after[..., 3] == 255
        assert inside.any()
        assert np.abs(before[inside] - after[inside]).mean() < 4, options


def test_only_the_latest_of_many_changes_is_drawn(page: Page, large: Sample):
    opened(page, large)
    drawn, sizes = page.evaluate("""async () => {
      const { render } = picture.previews;
      let drawn = 0;
      picture.previews.render = (...job) => { drawn++; return render(...job); };
      const widths = Array.from({ length: 30 }, (_, number) => 300 + number);
      const shown = await Promise.all(widths.map((w) => picture.preview({ format: 'png', w })));
      return [drawn, shown.map(({ after }) => after.width)];
    }""")
    assert drawn == 2
    assert sizes == [300] + [329] * 29


def test_a_moving_slider_gets_coarse_previews_that_become_fine_when_it_rests(page: Page, large: Sample):
    opened(page, large)
    drafts, sizes = page.evaluate("""async () => {
      const { Previews } = await import('/static/imaging/previews.js');
      const drafts = [];
      const draw = (side) => {
        const canvas = document.createElement('canvas');
        canvas.width = canvas.height = side;
        return canvas;
      };
      // As on a slow phone.
      const previews = new Previews(async (plan, isDraft) => {
        drafts.push(isDraft);
        return { before: draw(isDraft ? 70 : 140), after: draw(isDraft ? 70 : 140) };
      });
      await previews.draw({});
      previews.took = 1000;
      const { after } = await previews.draw({});
      const sizes = [after.width];
      while (drafts.length < 3) await new Promise((done) => setTimeout(done, 10));
      await new Promise((done) => setTimeout(done, 10));
      sizes.push(after.width);
      return [drafts, sizes];
    }""")
    assert (drafts, sizes) == ([False, True, False], [70, 140])


def test_what_the_brush_made_wins_over_the_models_matte(page: Page, large: Sample):
    opened(page, large)
    everything = base64.b64encode(encoded(Image.new("L", LARGE, 255))).decode()
    alphas = [np.asarray(decoded(page.evaluate(EXPORT, {"format": "png"})).convert("RGBA"))[0, 0, 3]]
    for script in ("(text) => picture.setTouched(blobOf(text, 'image/png'))", "() => picture.setTouched(null)"):
        page.evaluate(script, everything)
        result = decoded(page.evaluate(EXPORT, {"format": "png"}))
        shown = preview(page, {"format": "png"}, "after")["after"]
        alphas += [image.convert("RGBA").getpixel((0, 0))[3] for image in (result, shown)]
    assert alphas == [0, 255, 255, 0, 0]


@pytest.mark.parametrize("missing", ["delete globalThis.Worker;", "delete globalThis.OffscreenCanvas;"])
def test_a_browser_without_workers_or_their_canvas_makes_the_same_files(page: Page, missing: str):
    files, photo = [], sample(photograph("chelsea.png"))
    for script in ("", missing):
        opened(page, photo, script)
        files.append([page.evaluate(EXPORT, {**options, "format": "bmp"}) for options in SETTINGS])
        files[-1] += [page.evaluate(PREVIEW, [options, ["after"]])["after"] for options in SETTINGS]
    assert files[0] == files[1]


def test_a_picture_for_which_there_is_no_memory_is_said_in_a_sentence(page: Page, large: Sample):
    # As a phone's browser answers; in the page, where a test can replace its arrays.
    opened(
        page,
        large,
        """delete globalThis.Worker;
      globalThis.Uint8ClampedArray = class extends Uint8ClampedArray {
        constructor(size, ...rest) {
          if (size > 4_000_000) throw new RangeError('Array buffer allocation failed');
          super(size, ...rest);
        }
      };""",
    )
    said = page.evaluate("picture.export({ format: 'png' }).catch(({ message }) => message)")
    assert said == "This picture needs more memory than this browser has. Choose a smaller size, or use the API."


def test_a_value_that_the_api_would_refuse_is_said_in_a_sentence(page: Page, large: Sample):
    opened(page, large)
    said = {
        text: page.evaluate("(options) => picture.preview(options).then(() => '', ({ message }) => message)", options)
        for text, options in {
            "“5 apples” is not possible here.": {"crop": True, "crop_margin": "5 apples"},
            "“501px” is not possible here.": {"crop": True, "crop_margin": "501px"},
            "A canvas needs a width and a height.": {"fit": "pad", "w": 100},
            "These margins leave no room for the picture.": {"fit": "pad", "w": 100, "h": 100, "padding": "50px"},
        }.items()
    }
    assert said == {text: text for text in said}
