"""The brush: touching up a matte by hand, with mouse, finger, pen and keys."""

import base64
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import Browser, Page, Route, Worker, expect

from tests.browser.chromium import DESKTOP, PHONE
from tests.browser.page_checks import check_page, settle
from tests.browser.signed_in import make_session, sign_in
from tests.browser.test_editor import VIEWS, add, file, row
from tests.browser.windows import in_one_window
from tests.conftest import encoded
from tests.examples import EXHAUSTIVE
from tests.server import ProductServer

pytestmark = pytest.mark.browser

SIZE = (1200, 800)
# The model's: an ellipse, in which two squares show where the picture lies in the window.
SUBJECT = (150, 100, 1050, 720)
MARKS = {"magenta": (400, 400), "cyan": (800, 400)}
COLOURS = {"magenta": (255, 0, 255), "cyan": (0, 255, 255)}
MARK_RADIUS = 14
INSIDE, OUTSIDE = (600, 500), (80, 60)
BUSY = "#brush[data-busy]"

# A worker that has run out of memory.
BROKEN = "onmessage = ({ data: { id } }) => postMessage({ id, error: 'RangeError' })"

Grey = npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def session(server: ProductServer) -> str:
    return make_session(server, "brush@example.com")


def picture() -> Image.Image:
    """Colours that differ from place to place, none of them like those of the marks."""
    rows, columns = np.mgrid[: SIZE[1], : SIZE[0]]
    pixels = np.stack((40 + columns // 16, 60 + rows // 8, np.full_like(rows, 90)), axis=2).astype(np.uint8)
    image = Image.fromarray(pixels)
    for name, (x, y) in MARKS.items():
        ImageDraw.Draw(image).rectangle(
            (x - MARK_RADIUS, y - MARK_RADIUS, x + MARK_RADIUS, y + MARK_RADIUS), fill=COLOURS[name]
        )
    return image


def models_matte() -> Image.Image:
    matte = Image.new("L", SIZE)
    ImageDraw.Draw(matte).ellipse(SUBJECT, fill=255)
    return matte


def fulfil(route: Route) -> None:
    route.fulfill(body=encoded(models_matte()), content_type="image/png", headers={"X-Credits-Charged": "1"})


def start(page: Page, image: Image.Image | None = None) -> Page:
    """Cut the picture out, and open the brush on it."""
    page.route("**/rmbg", fulfil)
    add(page, file("photo.png", encoded(image or picture())))
    expect(row(page, "photo.png")).to_contain_text("Done")
    open_brush(page)
    return page


def open_brush(page: Page) -> None:
    page.get_by_role("button", name="Touch up", exact=True).click()
    await_brush(page)


def await_brush(page: Page) -> None:
    """Wait until the picture is open. Before the window is shown, nothing is busy."""
    expect(page.locator("#brush")).to_be_visible()
    expect(page.locator(BUSY)).to_have_count(0)


@pytest.fixture
def brush(editor: Page) -> Page:
    return start(editor)


def workers(page: Page) -> list[Worker]:
    """Those of the brush."""
    return [worker for worker in page.workers if "/brush/" in worker.url]


class Window:
    """Where the points of the picture are on the page, found by the marks that can be seen."""

    def __init__(self, page: Page) -> None:
        page.mouse.move(5, 5)
        (left, top), (right, _) = resting_marks(page)
        (x, y), (other, _) = MARKS.values()
        self.scale = (right - left) / (other - x)
        self.left, self.top = left - x * self.scale, top - y * self.scale

    def at(self, x: float, y: float) -> tuple[float, float]:
        return self.left + (x + 0.5) * self.scale, self.top + (y + 0.5) * self.scale


def resting_marks(page: Page) -> list[tuple[float, float]]:
    """The centres of the marks on the page, once they have stopped moving: a worker draws a view some frames later."""
    earlier: list[tuple[float, float]] = []
    for _ in range(50):
        page.wait_for_timeout(100)
        shown = np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB"), int)
        found = [centre(shown, colour) for colour in COLOURS.values()]
        if found == earlier and None not in found:
            return earlier
        earlier = [place for place in found if place]
    raise AssertionError(f"only {earlier} of the marks are in sight")


def centre(shown: npt.NDArray[Any], colour: tuple[int, int, int]) -> tuple[float, float] | None:
    rows, columns = np.nonzero(np.abs(shown - colour).max(axis=2) < 40)
    return (float(columns.mean()) + 0.5, float(rows.mean()) + 0.5) if len(rows) else None


def choose(page: Page, tool: str, size: int = 60, hardness: int = 100, *, follows: bool = False) -> None:
    """Take a brush of about `size` pixels of the picture."""
    page.locator(f"#brush [name=tool][value={tool}]").check(force=True)
    page.locator("#brush [name=follows]").set_checked(follows)
    for name, value in (("size", 100 * np.log(size) / np.log(SIZE[0] / 3)), ("hardness", hardness)):
        page.locator(f"#brush [name={name}]").fill(str(round(value)))


def chosen_size(page: Page) -> int:
    return int(page.locator("#brush [data-size]").inner_text().removesuffix(" px"))


def drag(page: Page, *points: tuple[float, float]) -> None:
    page.mouse.move(*points[0])
    page.mouse.down()
    for point in points[1:]:
        page.mouse.move(*point, steps=5)
    page.mouse.up()


def done(page: Page) -> None:
    page.locator("#brush").get_by_role("button", name="Done", exact=True).click()
    expect(page.locator("#brush")).to_be_hidden()


def downloaded(page: Page) -> Image.Image:
    """The cutout as PNG."""
    page.locator("[name=format][value=png]").check(force=True)
    with page.expect_download() as started:
        page.get_by_role("button", name="Download", exact=True).click()
    return Image.open(Path(started.value.path())).convert("RGBA")


def alpha(page: Page) -> Grey:
    return np.asarray(downloaded(page).getchannel("A"))


def disc(x: float, y: float, radius: float) -> npt.NDArray[np.bool_]:
    rows, columns = np.mgrid[: SIZE[1], : SIZE[0]]
    return np.asarray(np.hypot(columns - x, rows - y) <= radius)


def is_as_the_model_made_it(matte: Grey, but: npt.NDArray[np.bool_]) -> bool:
    return bool(np.array_equal(matte[~but], np.asarray(models_matte())[~but]))


@in_one_window
def test_the_mouse_keeps_and_erases_and_the_download_has_it_at_full_resolution(brush: Page):
    window = Window(brush)
    choose(brush, "erase", 60)
    radius = chosen_size(brush) / 2
    drag(brush, window.at(*INSIDE), window.at(INSIDE[0] + 100, INSIDE[1]))
    choose(brush, "keep", 60)
    drag(brush, window.at(*OUTSIDE), window.at(OUTSIDE[0] + 40, OUTSIDE[1]))
    done(brush)
    cutout = downloaded(brush)
    matte = np.asarray(cutout.getchannel("A"))
    assert cutout.size == SIZE
    assert not matte[disc(*INSIDE, radius - 3) | disc(INSIDE[0] + 100, INSIDE[1], radius - 3)].any(), "erased"
    restored = disc(*OUTSIDE, radius - 3) | disc(OUTSIDE[0] + 40, OUTSIDE[1], radius - 3)
    assert (matte[restored] == 255).all(), "kept"
    colours = np.asarray(cutout.convert("RGB"), int)[restored]
    assert np.abs(colours - np.asarray(picture(), int)[restored]).max() <= 1, "in the original's colours"
    reached = disc(*INSIDE, 100 + radius + 3) | disc(*OUTSIDE, 40 + radius + 3)
    assert is_as_the_model_made_it(matte, reached)


@pytest.mark.parametrize("page", [DESKTOP, PHONE], indirect=True, ids=["desktop", "phone"])
def test_after_zooming_and_panning_the_brush_hits_what_is_under_it(brush: Page):
    choose(brush, "erase", 20)
    radius = chosen_size(brush) / 2
    before = Window(brush)
    middle = before.at(600, 400)
    brush.mouse.move(*middle)
    for _ in range(2):
        brush.mouse.wheel(0, -150)
    brush.mouse.move(*middle)
    brush.mouse.down(button="middle")
    brush.mouse.move(middle[0] + 30, middle[1] + 20, steps=3)
    brush.mouse.up(button="middle")
    window = Window(brush)
    assert window.scale > 1.3 * before.scale
    assert not np.allclose(window.at(600, 400), middle, atol=10)
    brush.mouse.click(*window.at(550, 430))
    done(brush)
    matte = alpha(brush)
    assert not matte[disc(550, 430, radius - 2)].any()
    assert is_as_the_model_made_it(matte, disc(550, 430, radius + 2))


@in_one_window
def test_the_edge_of_a_stroke_follows_the_pictures_edge_where_that_is_wanted(editor: Page):
    """The true subject is 40 pixels longer than the model found; a stroke along it is drawn some pixels too far."""
    image, edge = picture(), SUBJECT[2] + 8
    ImageDraw.Draw(image).rectangle((edge, 0, *SIZE), fill=(240, 230, 200))
    start(editor, image)
    window = Window(editor)
    matte = {}
    for follows in (True, False):
        choose(editor, "keep", 40, follows=follows)
        radius = chosen_size(editor) / 2
        drag(editor, *(window.at(edge - radius + 8, y) for y in (380, 430)))
        done(editor)
        matte[follows] = alpha(editor)[390:420]
        editor.get_by_role("button", name="Undo all touch-ups").click()
        editor.get_by_role("dialog").get_by_role("button", name="Undo all touch-ups").click()
        if follows:
            open_brush(editor)
    assert matte[False][:, edge : edge + 6].mean() > 250, "plainly, it is drawn too far"
    assert matte[True][:, edge + 2 : edge + 12].mean() < 20, "what is beyond the edge stays erased"
    assert matte[True][:, edge - 12 : edge - 2].mean() > 235, "what is within it is kept"


@in_one_window
def test_the_circle_under_the_pointer_has_the_size_of_the_brush(brush: Page):
    window = Window(brush)
    choose(brush, "keep", 100)
    brush.mouse.move(*window.at(*INSIDE))
    box = brush.locator(".brush-ring").bounding_box()
    assert box is not None
    assert box["width"] == pytest.approx(chosen_size(brush) * window.scale, abs=1)
    assert (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2) == pytest.approx(window.at(*INSIDE), abs=1.5)
    brush.keyboard.press("]")
    assert chosen_size(brush) > 100 * 0.9
    wider = brush.locator(".brush-ring").bounding_box()
    assert wider is not None
    assert wider["width"] > box["width"]


@in_one_window
def test_what_was_erased_shows_faintly_in_red_or_as_the_background(editor: Page):
    editor.route("**/rmbg", fulfil)
    add(editor, file("photo.png", encoded(picture())))
    editor.locator("[name=background][value='#3d4fe0']").check(force=True)
    open_brush(editor)
    window = Window(editor)
    editor.locator("#brush summary").click()
    original = np.array(picture().getpixel(OUTSIDE))
    kept = np.array(picture().getpixel(INSIDE))
    shown = {}
    for name, label in LOOKS.items():
        editor.get_by_label(label).check()
        shown[name] = [colour_at(editor, window.at(*place)) for place in (OUTSIDE, INSIDE)]
        assert np.abs(shown[name][1] - kept).max() <= 6, "what is kept has its own colours"
    # Light, and three tenths of the original.
    assert (shown["faint"][0] > original + 50).all()
    assert shown["faint"][0].max() < 230
    red, green, blue = shown["red"][0] - original
    assert red > 60
    assert green < 10 > blue
    assert np.abs(shown["backdrop"][0] - (0x3D, 0x4F, 0xE0)).max() <= 1


LOOKS = {"faint": "Shows faintly", "red": "Shows in red", "backdrop": "Is the background, as in the result"}


def colour_at(page: Page, place: tuple[float, float]) -> npt.NDArray[Any]:
    page.mouse.move(5, 5)
    page.wait_for_timeout(100)
    return np.array(Image.open(io.BytesIO(page.screenshot())).convert("RGB").getpixel((round(place[0]), round(place[1]))))


@in_one_window
def test_strokes_can_be_undone_and_made_again(brush: Page):
    window = Window(brush)
    undo, redo = (brush.locator(f"#brush [data-do={name}]") for name in ("undo", "redo"))
    choose(brush, "erase", 60)
    expect(undo).to_have_attribute("aria-disabled", "true")
    drag(brush, window.at(*INSIDE), window.at(*INSIDE))
    drag(brush, window.at(400, 250), window.at(400, 250))
    expect(undo).to_have_attribute("aria-disabled", "false")
    undo.click()
    expect(redo).to_have_attribute("aria-disabled", "false")
    brush.keyboard.press("Control+z")
    expect(undo).to_have_attribute("aria-disabled", "true")
    expect(brush.locator("#brush [role=status]")).to_have_text("Undone.")
    brush.keyboard.press("Control+Shift+z")
    expect(undo).to_have_attribute("aria-disabled", "false")
    brush.keyboard.press("Control+y")
    expect(redo).to_have_attribute("aria-disabled", "true")
    undo.click()
    expect(redo).to_have_attribute("aria-disabled", "false")
    done(brush)
    matte = alpha(brush)
    assert not matte[disc(*INSIDE, 20)].any(), "made again"
    assert (matte[disc(400, 250, 20)] == 255).all(), "undone"


@in_one_window
def test_the_keyboard_alone_is_enough(brush: Page):
    window = Window(brush)
    canvas = brush.locator("#brush canvas")
    expect(canvas).to_be_focused()
    brush.keyboard.press("e")
    for _ in range(3):
        brush.keyboard.press("]")
    size = chosen_size(brush)
    brush.keyboard.press("ArrowRight")
    brush.keyboard.press("ArrowLeft")
    said = brush.locator("#brush [role=status]")
    expect(said).to_have_text("50% from the left, 50% from the top: kept")
    brush.keyboard.press("Enter")
    expect(said).to_contain_text("The brush is down")
    for _ in range(10):
        brush.keyboard.press("ArrowDown")
    brush.keyboard.press("Enter")
    expect(said).to_have_text("The brush is lifted.")
    for _ in range(10):
        brush.keyboard.press("ArrowRight")
    brush.keyboard.press("Space")
    expect(said).to_contain_text("erased")
    brush.locator("#brush [data-do=done]").focus()
    brush.keyboard.press("Enter")
    expect(brush.locator("#brush")).to_be_hidden()
    step = 8 / window.scale
    matte = alpha(brush)
    for x, y in ((600, 400), (600, 400 + 10 * step), (600 + 10 * step, 400 + 10 * step)):
        assert not matte[disc(x, y, size / 2 * 0.7)].any()
    assert is_as_the_model_made_it(matte, disc(600, 400, 20 * step + size))


@in_one_window
def test_escape_takes_back_a_stroke_and_asks_before_it_loses_any(brush: Page):
    window = Window(brush)
    choose(brush, "erase", 60)
    brush.mouse.move(*window.at(*INSIDE))
    brush.mouse.down()
    brush.keyboard.press("Escape")
    brush.mouse.up()
    expect(brush.locator("#brush [data-do=undo]")).to_have_attribute("aria-disabled", "true")
    drag(brush, window.at(400, 250), window.at(450, 250))
    brush.keyboard.press("Escape")
    question = brush.get_by_role("dialog", name="Discard your touch-ups?")
    question.get_by_role("button", name="Go on painting").click()
    expect(brush.locator("#brush")).to_be_visible()
    brush.locator("#brush").get_by_role("button", name="Cancel").click()
    question.get_by_role("button", name="Discard").click()
    expect(brush.locator("#brush")).to_be_hidden()
    expect(brush.get_by_role("button", name="Touch up", exact=True)).to_be_focused()
    expect(brush.get_by_role("button", name="Undo all touch-ups")).to_be_hidden()
    assert is_as_the_model_made_it(alpha(brush), np.zeros(SIZE[::-1], bool))


@in_one_window
def test_cancel_asks_nothing_where_nothing_has_changed(brush: Page):
    [worker] = workers(brush)
    with worker.expect_event("close"):
        brush.keyboard.press("Escape")
    expect(brush.locator("#brush")).to_be_hidden()


@in_one_window
def test_all_touch_ups_can_be_undone_afterwards_and_continued(brush: Page):
    window = Window(brush)
    choose(brush, "erase", 60)
    drag(brush, window.at(*INSIDE), window.at(*INSIDE))
    done(brush)
    open_brush(brush)
    drag(brush, window.at(400, 250), window.at(400, 250))
    done(brush)
    matte = alpha(brush)
    assert not matte[disc(*INSIDE, 20) | disc(400, 250, 20)].any(), "the second time continues the first"
    brush.get_by_role("button", name="Undo all touch-ups").click()
    question = brush.get_by_role("dialog", name="Undo all touch-ups?")
    question.get_by_role("button", name="Keep them").click()
    brush.get_by_role("button", name="Undo all touch-ups").click()
    question.get_by_role("button", name="Undo all touch-ups").click()
    expect(brush.get_by_role("button", name="Undo all touch-ups")).to_be_hidden()
    assert is_as_the_model_made_it(alpha(brush), np.zeros(SIZE[::-1], bool))


@in_one_window
def test_cutting_out_again_asks_before_it_throws_touch_ups_away(brush: Page):
    window = Window(brush)
    choose(brush, "erase", 60)
    drag(brush, window.at(*INSIDE), window.at(*INSIDE))
    done(brush)
    brush.locator("#settings [name=detail]").evaluate(CHOOSE_FAST)
    again = brush.locator("#again")
    again.click()
    question = brush.get_by_role("dialog", name="Cut out again?")
    expect(question).to_contain_text("1 picture has touch-ups.")
    question.get_by_role("button", name="Keep the touch-ups").click()
    expect(brush.get_by_role("button", name="Undo all touch-ups")).to_be_visible()
    again.click()
    question.get_by_role("button", name="Cut out again").click()
    expect(brush.get_by_role("button", name="Undo all touch-ups")).to_be_hidden()
    expect(row(brush, "photo.png")).to_contain_text("Done")
    assert is_as_the_model_made_it(alpha(brush), np.zeros(SIZE[::-1], bool))


# The field is in a section that is closed.
CHOOSE_FAST = """field => {
  field.value = "fast";
  field.dispatchEvent(new Event("input", { bubbles: true }));
}"""


@in_one_window
def test_back_to_the_models_matte_is_a_step_that_can_be_undone(brush: Page):
    window = Window(brush)
    choose(brush, "erase", 60)
    drag(brush, window.at(*INSIDE), window.at(*INSIDE))
    done(brush)
    open_brush(brush)
    brush.locator("#brush summary").click()
    reset = brush.get_by_role("button", name="Back to the model's cutout")
    reset.click()
    expect(brush.locator("#brush [data-do=undo]")).to_have_attribute("aria-disabled", "false")
    brush.locator("#brush [data-do=undo]").click()
    expect(brush.locator("#brush [data-do=undo]")).to_have_attribute("aria-disabled", "true")
    reset.click()
    expect(brush.locator("#brush [data-do=undo]")).to_have_attribute("aria-disabled", "false")
    done(brush)
    expect(brush.get_by_role("button", name="Undo all touch-ups")).to_be_hidden()
    assert is_as_the_model_made_it(alpha(brush), np.zeros(SIZE[::-1], bool))


@in_one_window
def test_a_picture_that_is_removed_meanwhile_closes_the_brush(brush: Page):
    window = Window(brush)
    drag(brush, window.at(*OUTSIDE), window.at(200, 60))
    [worker] = workers(brush)
    with worker.expect_event("close"):
        # The dialog covers the button; only a script can press it.
        brush.evaluate("document.querySelector('#queue .row-buttons .icon:last-child').click()")
    expect(brush.locator("#brush")).to_be_hidden()
    expect(brush.locator("#welcome")).to_be_visible()


@in_one_window
def test_a_worker_that_cannot_start_is_said_in_a_sentence(editor: Page):
    editor.route("**/brush/worker*", lambda route: route.fulfill(body=BROKEN, content_type="text/javascript"))
    editor.route("**/rmbg", fulfil)
    add(editor, file("photo.png", encoded(picture())))
    expect(row(editor, "photo.png")).to_contain_text("Done")
    editor.get_by_role("button", name="Touch up", exact=True).click()
    expect(editor.locator("#notice")).to_contain_text("The brush cannot open this picture.")
    expect(editor.locator("#brush")).to_be_hidden()
    assert is_as_the_model_made_it(alpha(editor), np.zeros(SIZE[::-1], bool))


@in_one_window
def test_without_drawing_in_workers_the_page_makes_the_same(editor: Page):
    editor.evaluate("delete HTMLCanvasElement.prototype.transferControlToOffscreen")
    start(editor)
    assert not workers(editor)
    window = Window(editor)
    choose(editor, "erase", 60)
    radius = chosen_size(editor) / 2
    drag(editor, window.at(*INSIDE), window.at(INSIDE[0] + 100, INSIDE[1]))
    done(editor)
    matte = alpha(editor)
    assert not matte[disc(*INSIDE, radius - 3) | disc(INSIDE[0] + 100, INSIDE[1], radius - 3)].any()
    assert is_as_the_model_made_it(matte, disc(*INSIDE, 100 + radius + 3))


@in_one_window
def test_nothing_is_kept_where_the_original_itself_is_transparent(editor: Page):
    image = picture().convert("RGBA")
    image.paste((0, 0, 0, 0), (0, 0, 100, SIZE[1]))
    start(editor, image)
    window = Window(editor)
    choose(editor, "keep", 60)
    radius = chosen_size(editor) / 2
    drag(editor, window.at(100, 60), window.at(100, 60))
    done(editor)
    matte = alpha(editor)
    reached = disc(100, 60, radius - 3)
    assert not matte[:, :100].any()
    assert (matte[:, 100:][reached[:, 100:]] == 255).all()


@in_one_window
def test_a_pen_draws_thinner_where_it_is_pressed_less_and_erases_with_its_other_end(brush: Page):
    window = Window(brush)
    choose(brush, "erase", 100)
    radius = chosen_size(brush) / 2
    pen(brush, window.at(400, 250), force=1)
    pen(brush, window.at(800, 250), force=0.1)
    choose(brush, "keep", 100)
    brush.mouse.move(*window.at(600, 550))
    brush.evaluate(OTHER_END, window.at(600, 550))
    done(brush)
    erased = alpha(brush) == 0
    assert erased[disc(400, 250, radius - 3)].all()
    light = radius * (0.25 + 0.75 * 0.1)
    assert erased[disc(800, 250, light - 3)].all()
    assert not erased[disc(800, 250, radius) & ~disc(800, 250, light + 3)].any()
    assert erased[disc(600, 550, radius - 3)].all()


# DevTools has no pen's other end; the events are those of a browser that has one.
OTHER_END = """([clientX, clientY]) => {
  const facts = { clientX, clientY, pointerId: 1, pointerType: "pen", button: 5, buttons: 32, pressure: 1, bubbles: true };
  const canvas = document.querySelector("#brush canvas");
  for (const type of ["pointerdown", "pointerup"]) canvas.dispatchEvent(new PointerEvent(type, facts));
}"""


def pen(page: Page, place: tuple[float, float], *, force: float) -> None:
    client = page.context.new_cdp_session(page)
    facts = {"x": place[0], "y": place[1], "pointerType": "pen", "button": "left", "clickCount": 1, "force": force}
    client.send("Input.dispatchMouseEvent", {**facts, "type": "mouseMoved", "button": "none"})
    client.send("Input.dispatchMouseEvent", {**facts, "type": "mousePressed", "buttons": 1})
    client.send("Input.dispatchMouseEvent", {**facts, "type": "mouseReleased"})
    client.detach()


@pytest.fixture
def touched(browser: Browser, server: ProductServer, session: str) -> Iterator[Page]:
    """The brush on a phone with a screen to touch."""
    context = browser.new_context(viewport=PHONE, base_url=server.url, has_touch=True, device_scale_factor=2)
    page = context.new_page()
    sign_in(page, server, session)
    page.goto("/editor")
    yield start(page)
    context.close()


class Fingers:
    def __init__(self, page: Page) -> None:
        self.client = page.context.new_cdp_session(page)

    def send(self, kind: str, *places: tuple[float, float]) -> None:
        points = [{"x": x, "y": y, "id": index} for index, (x, y) in enumerate(places)]
        self.client.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})


class PhoneWindow(Window):
    """The screenshot of a phone has two pixels for each of the page."""

    def at(self, x: float, y: float) -> tuple[float, float]:
        left, top = super().at(x, y)
        return left / 2, top / 2


def test_one_finger_paints_and_two_zoom_without_a_trace(touched: Page):
    fingers, window = Fingers(touched), PhoneWindow(touched)
    choose(touched, "erase", 60)
    radius = chosen_size(touched) / 2
    (x, y), (end, _) = window.at(*INSIDE), window.at(INSIDE[0] + 100, INSIDE[1])
    fingers.send("touchStart", (x, y))
    for part in (0.3, 0.6, 1):
        fingers.send("touchMove", (x + (end - x) * part, y))
    fingers.send("touchEnd")
    expect(touched.locator("#brush [data-do=undo]")).to_have_attribute("aria-disabled", "false")
    before = window.scale
    (x, y), other = window.at(500, 300), window.at(700, 300)
    fingers.send("touchStart", (x, y))
    fingers.send("touchMove", (x + 5, y))
    fingers.send("touchStart", (x, y), other)
    for moved in (10, 20, 30):
        fingers.send("touchMove", (x - moved, y), (other[0] + moved, y))
    fingers.send("touchEnd", (x - 30, y))
    fingers.send("touchMove", (x - 60, y + 20))
    fingers.send("touchEnd")
    assert PhoneWindow(touched).scale > 1.3 * before
    done(touched)
    matte = alpha(touched)
    assert not matte[disc(*INSIDE, radius - 4) | disc(INSIDE[0] + 100, INSIDE[1], radius - 4)].any()
    assert is_as_the_model_made_it(matte, disc(*INSIDE, 100 + radius + 4))


@pytest.mark.parametrize("language", ["en", "ar"])
def test_axe_finds_nothing(browser: Browser, server: ProductServer, language: str):
    """By default on a desktop in light English and on a phone in dark Arabic."""
    session = make_session(server, f"brush-axe-{language}@example.com", language=language)
    for viewport, scheme in VIEWS if EXHAUSTIVE else [VIEWS[language == "ar"]]:
        context = browser.new_context(viewport=viewport, base_url=server.url, color_scheme=scheme)
        page = context.new_page()
        sign_in(page, server, session)
        page.route("**/rmbg", fulfil)
        page.goto("/editor")
        add(page, file("photo.png", encoded(picture())))
        page.locator("#brush-open:enabled").click()
        await_brush(page)
        page.locator("#brush summary").click()
        settle(page)
        check_page(page)
        window = Window(page)
        drag(page, window.at(*OUTSIDE), window.at(*OUTSIDE))
        page.keyboard.press("Escape")
        expect(page.locator("#confirm")).to_be_visible()
        check_page(page)
        context.close()


# --- The arithmetic, without a pointer ---------------------------------------------------------------

PAINT = """async ({ width, height, value, strokes, budget, undo, redo }) => {
  const { Stroke } = await import("/static/imaging/brush/strokes.js");
  const { History } = await import("/static/imaging/brush/tiles.js");
  const matte = { width, height, data: new Uint8Array(width * height).fill(value), ceiling: null };
  const history = new History(matte, budget);
  for (const { brush, points } of strokes) {
    const stroke = new Stroke(matte, brush);
    for (const [x, y, pressure = 1] of points) stroke.extend({ x, y, pressure });
    stroke.finish();
    history.add(stroke.before, "stroke");
  }
  for (let step = 0; step < undo; step++) history.undo();
  for (let step = 0; step < redo; step++) history.redo();
  let text = "";
  for (const byte of matte.data) text += String.fromCharCode(byte);
  return [btoa(text), history.state];
}"""


def paint(page: Page, *strokes: dict[str, Any], **facts: Any) -> tuple[Grey, dict[str, bool]]:
    page.goto("/")
    given = {"width": 300, "height": 200, "value": 0, "strokes": strokes, "undo": 0, "redo": 0, **facts}
    text, state = page.evaluate(PAINT, given)
    return np.frombuffer(base64.b64decode(text), np.uint8).reshape(given["height"], given["width"]), state


def stroke(*points: tuple[float, ...], size: int = 40, hardness: float = 1, keeps: bool = True) -> dict[str, Any]:
    return {"brush": {"size": size, "hardness": hardness, "keeps": keeps}, "points": points}


@in_one_window
def test_a_hard_dab_covers_its_disc_and_a_soft_one_fades(page: Page):
    rows, columns = np.mgrid[:200, :300] + 0.5
    distance = np.hypot(columns - 100.25, rows - 90)
    hard, _ = paint(page, stroke((100.25, 90)))
    assert (hard[distance < 19.4] == 255).all()
    assert not hard[distance > 20.6].any()
    assert int(hard.sum()) / 255 == pytest.approx(np.pi * 20**2, rel=0.01)
    soft, _ = paint(page, stroke((100.25, 90), hardness=0.5))
    assert (soft[distance < 9.5] == 255).all()
    ring = soft[(distance > 14.5) & (distance < 15.5)]
    assert 60 < ring.min() <= ring.max() < 200


@in_one_window
def test_a_stroke_that_crosses_itself_is_not_stronger_there_but_a_second_stroke_is(page: Page):
    there_and_back = [(50, 100), (150, 100), (250, 100), (150, 100), (50, 100)]
    once, _ = paint(page, stroke((50, 100), (150, 100), (250, 100), hardness=0))
    crossing, _ = paint(page, stroke(*there_and_back, hardness=0))
    assert np.abs(crossing.astype(int) - once).max() <= 1
    twice, _ = paint(page, *[stroke((50, 100), (150, 100), (250, 100), hardness=0)] * 2)
    edge = once == once[112, 150]
    assert (twice[edge] > once[edge]).all()


@in_one_window
def test_a_stroke_is_as_wide_all_along_as_the_pen_was_pressed(page: Page):
    line, _ = paint(page, stroke((30, 100, 1), (280, 100, 1)))
    widths = (line[:, 40:270] > 127).sum(axis=0)
    assert widths.min() == widths.max() == 40
    wedge, _ = paint(page, stroke((30, 100, 1), (280, 100, 0)))
    widths = (wedge[:, 40:250] > 127).sum(axis=0)
    assert (np.diff(widths) <= 0).all()
    assert widths[0] > 35
    assert widths[-1] < 20


@in_one_window
def test_erasing_is_the_opposite_of_keeping(page: Page):
    line = [(20, 20), (120, 150), (280, 40)]
    kept, _ = paint(page, stroke(*line, hardness=0.4))
    erased, _ = paint(page, stroke(*line, hardness=0.4, keeps=False), value=255)
    assert np.abs(255 - erased.astype(int) - kept).max() <= 1


@in_one_window
def test_undo_restores_every_pixel_and_redo_makes_them_again(page: Page):
    strokes = [stroke((20, 20), (280, 180), hardness=0.3), stroke((20, 180), (280, 20), keeps=False, size=90)]
    both, state = paint(page, *strokes)
    assert state == {"canUndo": True, "canRedo": False, "isChanged": True}
    one, _ = paint(page, strokes[0])
    undone, state = paint(page, *strokes, undo=1)
    assert np.array_equal(undone, one)
    assert state == {"canUndo": True, "canRedo": True, "isChanged": True}
    none, state = paint(page, *strokes, undo=3)
    assert not none.any()
    assert state == {"canUndo": False, "canRedo": True, "isChanged": False}
    again, _ = paint(page, *strokes, undo=2, redo=2)
    assert np.array_equal(again, both)


@in_one_window
def test_undoing_takes_no_more_memory_than_its_budget_and_knows_what_it_forgot(page: Page):
    # Each stroke changes two tiles of 16,384 bytes that the one before has left with more than one value.
    strokes = [stroke((100, 60), (160, 60 + index), hardness=0) for index in range(8)]
    undone, state = paint(page, *strokes, undo=8, budget=100_000)
    assert undone.any(), "the oldest strokes stay"
    assert state == {"canUndo": False, "canRedo": True, "isChanged": True}


@in_one_window
@pytest.mark.parametrize("compressed", [True, False])
def test_a_matte_is_written_as_a_grey_png(page: Page, compressed: bool):
    page.goto("/")
    text = page.evaluate(
        """async (compressed) => {
            if (!compressed) delete self.CompressionStream;
            const { encodeGrey } = await import("/static/imaging/brush/grey-png.js");
            const data = Uint8Array.from({ length: 301 * 260 }, (_, at) => (at * 7) % 251);
            const blob = await encodeGrey({ width: 301, height: 260, data });
            return btoa(String.fromCharCode(...[...new Uint8Array(await blob.arrayBuffer())]));
        }""",
        compressed,
    )
    image = Image.open(io.BytesIO(base64.b64decode(text)))
    assert (image.format, image.mode, image.size) == ("PNG", "L", (301, 260))
    assert np.array_equal(np.asarray(image).ravel(), np.arange(301 * 260) * 7 % 251)
