"""The editor's sections for everything of the finished image: free changes, each in the preview and in the download."""

import io
import itertools
import json
import re
import shlex
import zipfile

import pytest
from PIL import Image
from playwright.sync_api import Browser, FilePayload, Locator, Page, Request, Route, expect

from tests.browser.chromium import DESKTOP, PHONE
from tests.browser.page_checks import check_page
from tests.browser.signed_in import make_session, sign_in
from tests.browser.test_editor import (
    ONLY_DESKTOP,
    SLOW,
    add,
    download,
    file,
    fulfil_with_matte,
    little,
    open_panel,
    row,
    sent,
)
from tests.browser.windows import in_one_window
from tests.conftest import encoded
from tests.server import ProductServer

__all__ = ["little", "sent"]

pytestmark = pytest.mark.browser

GREEN = (0, 160, 0)
SECTIONS = ("background", "canvas", "shadow", "format", "results", "angle", "edges", "model")


@pytest.fixture(scope="module")
def session(server: ProductServer) -> str:
    return make_session(server, "panels@example.com")


@pytest.fixture
def studio(editor: Page, sent: list[Request], little: bytes) -> Page:
    """The editor with one image that is done, as PNG."""
    add(editor, file("photo.jpg", little))
    expect(row(editor, "photo.jpg")).to_contain_text("Done", timeout=SLOW)
    editor.get_by_label("PNG").check()
    expect(facts(editor)).to_have_text("photo.jpg: 80 × 60 pixels, PNG")
    return editor


@pytest.fixture
def green() -> FilePayload:
    return file("green.png", encoded(Image.new("RGB", (40, 40), GREEN)))


def facts(page: Page) -> Locator:
    return page.locator("#facts")


def downloaded(page: Page) -> Image.Image:
    return Image.open(io.BytesIO(download(page, "Download")[1])).convert("RGBA")


def alpha(image: Image.Image, x: int, y: int) -> int:
    pixel = image.getpixel((x, y))
    assert isinstance(pixel, tuple)
    return int(pixel[3])


def field(page: Page, name: str) -> Locator:
    return page.locator(f"#settings [name={name}]")


def fill(page: Page, **values: str) -> None:
    for name, value in values.items():
        field(page, name).fill(value)


def choose(page: Page, name: str, value: str) -> None:
    """One of the radio buttons `name`."""
    page.locator(f'#settings [name={name}][value="{value}"]').check()


def problem_of(page: Page, name: str) -> str:
    """What is said about a field, by what describes it."""
    wrong = field(page, name)
    expect(wrong).to_have_attribute("aria-invalid", "true")
    ids = (wrong.get_attribute("aria-describedby") or "").split()
    return page.locator(f"#{ids[-1]}").inner_text()


def value_of(page: Page, name: str) -> str:
    return field(page, name).input_value()


def test_another_picture_goes_behind_the_subject_and_away_again(studio: Page, green: FilePayload, sent: list[Request]):
    choose(studio, "background", "image")
    studio.locator("#bg-file").set_input_files([green])
    expect(studio.locator("#bg-name")).to_have_text("green.png")
    expect(studio.locator("#bg-thumb")).to_be_visible()
    assert downloaded(studio).getpixel((0, 0)) == (*GREEN, 255)
    choose(studio, "background", "#ffffff")
    assert downloaded(studio).getpixel((0, 0)) == (255, 255, 255, 255)
    choose(studio, "background", "image")
    assert downloaded(studio).getpixel((0, 0)) == (*GREEN, 255), "it is remembered"
    studio.get_by_role("button", name="Remove", exact=True).click()
    expect(studio.locator("#bg-choose")).to_be_focused()
    assert alpha(downloaded(studio), 0, 0) == 0
    assert len(sent) == 1, "no change asks for another matte"
    assert studio.evaluate("document.documentElement.scrollWidth <= innerWidth")


@in_one_window
def test_the_blurred_photograph_goes_behind_the_subject(studio: Page):
    choose(studio, "background", "blur")
    image = downloaded(studio)
    assert image.getextrema()[3] == (255, 255)
    fill(studio, bg_blur="1")
    expect(studio.locator('[data-for="bg_blur"]')).to_have_value("1")
    assert downloaded(studio).tobytes() != image.tobytes()
    fill(studio, bg_blur="0")
    assert problem_of(studio, "bg_blur") == "This is a number from 1 to 100."


@in_one_window
@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        (file("notes.png", b"no picture"), "This file is not a picture that we can read."),
        (file("drawing.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>"), "This file is not a picture that we can read."),
        (file("empty.jpg", b""), "This file is not a picture that we can read."),
    ],
    ids=["no picture", "another format", "empty"],
)
def test_a_bad_background_is_refused_in_a_sentence_and_the_last_one_stays(
    studio: Page, green: FilePayload, bad: FilePayload, sentence: str
):
    choose(studio, "background", "image")
    studio.locator("#bg-file").set_input_files([green])
    expect(studio.locator("#bg-name")).to_have_text("green.png")
    studio.locator("#bg-file").set_input_files([bad])
    expect(studio.locator("#bg-problem")).to_contain_text(sentence)
    expect(studio.locator("#bg-name")).to_have_text("green.png")
    assert downloaded(studio).getpixel((0, 0)) == (*GREEN, 255)


@in_one_window
def test_a_background_of_a_phones_format_is_converted(studio: Page):
    moving = file("moving.gif", encoded(Image.new("RGB", (40, 40), GREEN), "GIF"))
    studio.locator("#settings [name=background][value=image]").check()
    studio.locator("#bg-file").set_input_files([moving])
    expect(studio.locator("#bg-name")).to_have_text("moving.png")
    assert downloaded(studio).getpixel((0, 0)) == (*GREEN, 255)


@in_one_window
@pytest.mark.parametrize("way", ["drop", "paste"])
def test_a_picture_that_is_dropped_or_pasted_into_the_section_is_a_background(studio: Page, green: FilePayload, way: str):
    studio.evaluate(GIVE, {"bytes": list(green["buffer"]), "way": way})
    expect(studio.locator("#bg-name")).to_have_text("given.png")
    expect(studio.locator("#queue li")).to_have_count(1)
    assert "dropping" not in (studio.locator("body").get_attribute("class") or "")
    assert downloaded(studio).getpixel((0, 0)) == (*GREEN, 255)


GIVE = """({ bytes, way }) => {
  const data = new DataTransfer();
  data.items.add(new File([new Uint8Array(bytes)], 'given.png', { type: 'image/png' }));
  const target = document.querySelector('[data-panel=background] summary');
  const options = { bubbles: true, cancelable: true };
  if (way === 'paste') return target.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, ...options }));
  for (const name of ['dragenter', 'dragover', 'drop']) {
    target.dispatchEvent(new DragEvent(name, { dataTransfer: data, ...options }));
  }
}"""


def test_a_shadow_falls_and_its_look_is_chosen(studio: Page, sent: list[Request]):
    open_panel(studio, "shadow")
    assert alpha(downloaded(studio), 72, 40) == 0
    choose(studio, "shadow", "drop")
    fill(studio, shadow_x="10", shadow_y="10", shadow_opacity="80")
    field(studio, "shadow_color").fill("#ff0000")
    near = downloaded(studio).getpixel((72, 40))
    assert isinstance(near, tuple)
    assert near[3] > 60
    assert near[0] > 250
    assert near[1:3] == (0, 0)
    # The slider and the number are one.
    studio.locator('[data-for="shadow_opacity"]').fill("0")
    expect(field(studio, "shadow_opacity")).to_have_value("0")
    assert alpha(downloaded(studio), 72, 40) == 0
    choose(studio, "shadow", "none")
    expect(field(studio, "shadow_opacity")).to_be_hidden()
    assert len(sent) == 1


def test_the_canvas_is_cut_to_the_subject_with_a_margin(studio: Page):
    open_panel(studio, "canvas")
    choose(studio, "canvas", "crop")
    expect(facts(studio)).to_have_text("photo.jpg: 61 × 41 pixels, PNG")
    fill(studio, margin_top="10")
    field(studio, "margin_unit").select_option("px")
    expect(facts(studio)).to_have_text("photo.jpg: 81 × 61 pixels, PNG")
    studio.get_by_label("Each side separately").check()
    fill(studio, margin_left="0", margin_bottom="5")
    expect(facts(studio)).to_have_text("photo.jpg: 71 × 56 pixels, PNG")
    assert downloaded(studio).size == (71, 56)
    studio.get_by_role("button", name="Reset: Size and canvas").click()
    expect(facts(studio)).to_have_text("photo.jpg: 80 × 60 pixels, PNG")


@in_one_window
def test_the_subject_is_scaled_and_placed(studio: Page):
    open_panel(studio, "canvas")
    fill(studio, scale="50")
    choose(studio, "place", "0 100")
    image = downloaded(studio)
    assert image.size == (80, 60)
    box = image.getchannel("A").point([255 if value > 9 else 0 for value in range(256)]).getbbox()
    assert box is not None
    assert (box[0], box[3]) == (0, 60)
    fill(studio, across="100")
    assert value_of(studio, "down") == "100"
    assert studio.locator("#settings [name=place]:checked").input_value() == "100 100"


def test_a_preset_fills_the_fields_and_they_may_be_changed_afterwards(studio: Page):
    open_panel(studio, "canvas")
    assert field(studio, "preset").locator("option").all_text_contents()[:3] == ["No preset", "Amazon", "eBay"]
    field(studio, "preset").select_option("amazon")
    expect(studio.locator("#preset-rule")).to_contain_text("pure white (255, 255, 255)")
    expect(studio.locator("#preset-rule")).to_contain_text("As read in November 2026.")
    expect(facts(studio)).to_have_text("photo.jpg: 2000 × 2000 pixels, JPEG")
    assert [value_of(studio, name) for name in ("w", "h", "margin_top", "quality")] == ["2000", "2000", "7", "92"]
    expect(studio.locator("[data-panel=background] [data-value]")).to_have_text("White")
    fill(studio, quality="80")
    expect(field(studio, "preset")).to_have_value("amazon")
    fill(studio, w="1000", h="1000")
    expect(facts(studio)).to_have_text("photo.jpg: 1000 × 1000 pixels, JPEG")
    expect(field(studio, "preset")).to_have_value("")
    expect(studio.locator("#preset-rule")).to_be_hidden()


def test_several_results_come_as_a_zip_each_with_its_own_options(studio: Page, sent: list[Request]):
    open_panel(studio, "results")
    for name in ("Add a JPEG on white", "Add the mask", "Add another"):
        studio.get_by_role("button", name=name).click()
    third = studio.locator(".result").nth(2)
    expect(third.get_by_label("Name")).to_be_focused()
    third.get_by_label("Name").fill("shop")
    third.get_by_label("Preset").select_option("ebay")
    third.get_by_label("Width").fill("100")
    third.get_by_label("Height").fill("100")
    third.get_by_label("Background").select_option("own")
    third.locator("[data-row=colour]").fill("#00a000")
    expect(facts(studio)).to_have_text("photo.jpg: 100 × 100 pixels, JPEG")
    studio.locator("[data-panel=format] summary").focus()
    expect(facts(studio)).to_have_text("photo.jpg: 80 × 60 pixels, PNG")
    name, data = download(studio, "Download 4 results")
    assert name == "photo-no-bg.zip"
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        images = {entry: Image.open(archive.open(entry)) for entry in archive.namelist()}
        assert {name: (image.format, image.size) for name, image in images.items()} == {
            "photo-no-bg.png": ("PNG", (80, 60)),
            "photo-no-bg-white.jpeg": ("JPEG", (80, 60)),
            "photo-no-bg-mask.png": ("PNG", (80, 60)),
            "photo-no-bg-shop.jpeg": ("JPEG", (100, 100)),
        }
        assert alpha(images["photo-no-bg.png"].convert("RGBA"), 0, 0) == 0
        assert min(images["photo-no-bg-white.jpeg"].convert("L").crop((0, 0, 5, 5)).getextrema()) > 250
        assert images["photo-no-bg-mask.png"].convert("RGBA").getpixel((0, 0)) == (0, 0, 0, 255)
        corner = images["photo-no-bg-shop.jpeg"].convert("RGB").getpixel((1, 1))
        assert isinstance(corner, tuple)
        assert corner[1] > 140
        assert corner[0] < 20
    assert len(sent) == 1


@in_one_window
def test_results_are_at_most_five_with_names_that_the_server_takes(studio: Page):
    open_panel(studio, "results")
    add_mask = studio.get_by_role("button", name="Add the mask")
    for _ in range(4):
        add_mask.click()
    expect(add_mask).to_be_disabled()
    expect(studio.locator("#results-full")).to_be_visible()
    names = studio.locator(".result").get_by_label("Name")
    assert [one.input_value() for one in names.all()] == ["mask", "mask-2", "mask-3", "mask-4"]
    alert = studio.locator("[data-panel=results]").get_by_role("alert")
    names.nth(1).fill("mask")
    expect(alert).to_have_text("Another result has this name already.")
    names.nth(1).fill("Große Maske")
    expect(alert).to_have_text("A name has small letters a to z, digits, - and _ only.")
    names.nth(1).fill("large")
    expect(alert).to_have_count(0)
    studio.get_by_role("button", name="Remove the result mask-4").click()
    expect(add_mask).to_be_enabled()
    expect(studio.get_by_role("button", name="Download 4 results")).to_be_visible()


@in_one_window
def test_what_does_not_go_together_is_said_at_the_field(studio: Page):
    open_panel(studio, "canvas", "edges", "shadow")
    choose(studio, "canvas", "pad")
    expect(facts(studio)).to_have_text("photo.jpg: 80 × 60 pixels, PNG")
    fill(studio, h="")
    assert problem_of(studio, "h") == "A fixed size needs both a width and a height."
    fill(studio, h="60")
    expect(field(studio, "h")).not_to_have_attribute("aria-invalid", "true")
    field(studio, "margin_unit").select_option("px")
    fill(studio, margin_top="30")
    assert problem_of(studio, "margin_top") == "These margins leave no room for the subject in a height of 60."
    fill(studio, margin_top="5", w="20000")
    assert problem_of(studio, "w") == "A side is a whole number of pixels from 1 to 10,000."
    fill(studio, w="80")
    expect(studio.get_by_role("form", name="Settings").get_by_role("alert")).to_have_count(0)
    choose(studio, "background", "#000000")
    studio.get_by_label("Only the mask").check()
    expect(studio.locator("#backgrounds")).to_have_attribute("disabled", "")
    expect(studio.locator("#background-reason")).to_have_text("A mask has no background.")
    expect(studio.locator("#shadow-reason")).to_have_text("A mask has no shadow.")
    studio.get_by_label("Only the mask").uncheck()
    assert downloaded(studio).getpixel((0, 0)) == (0, 0, 0, 255), "the background is still chosen"


@in_one_window
def test_controls_without_an_effect_are_disabled_and_say_why(studio: Page):
    open_panel(studio, "canvas")
    for name, reason in (
        ("margins", "The whole picture has no margin."),
        ("exact", "This needs both a width and a height."),
    ):
        expect(studio.locator(f"#{name}-reason")).to_contain_text(reason)
    expect(studio.locator("#margins")).to_have_attribute("disabled", "")
    expect(field(studio, "exact")).to_be_disabled()
    expect(field(studio, "quality")).to_be_disabled()
    expect(studio.locator("#quality-reason")).to_be_visible()
    choose(studio, "format", "webp")
    expect(field(studio, "quality")).to_be_enabled()
    expect(field(studio, "dpi")).to_be_disabled()
    choose(studio, "canvas", "crop")
    expect(studio.locator("#positions")).to_have_attribute("disabled", "")
    expect(studio.locator("#positions-reason")).to_contain_text("The canvas is cut to the subject.")


@in_one_window
def test_webp_is_written_in_the_page_where_a_browser_has_no_workers(editor: Page, sent: list[Request], little: bytes):
    editor.add_init_script("delete globalThis.Worker")
    editor.reload()
    add(editor, file("photo.jpg", little))
    expect(row(editor, "photo.jpg")).to_contain_text("Done", timeout=SLOW)
    name, content = download(editor, "Download")
    with Image.open(io.BytesIO(content)) as image:
        assert (name, image.format, image.mode) == ("photo-no-bg.webp", "WEBP", "RGBA")


@in_one_window
def test_a_browser_without_webassembly_is_offered_png(editor: Page, sent: list[Request], little: bytes):
    editor.add_init_script("delete globalThis.WebAssembly")
    editor.reload()
    expect(editor.get_by_label("WebP")).to_be_disabled()
    expect(editor.locator("#webp-note")).to_have_text(
        "This browser cannot write WebP. Choose PNG: it keeps transparency too."
    )
    add(editor, file("photo.jpg", little))
    expect(row(editor, "photo.jpg")).to_contain_text("Done", timeout=SLOW)
    assert download(editor, "Download")[0] == "photo-no-bg.png"


@in_one_window
def test_an_encoder_that_does_not_arrive_is_said_in_a_sentence(editor: Page, sent: list[Request], little: bytes):
    editor.context.route("**/webp_enc_simd.wasm", lambda route: route.abort())
    add(editor, file("photo.jpg", little))
    expect(row(editor, "photo.jpg")).to_contain_text("Done", timeout=SLOW)
    editor.get_by_role("button", name="Download", exact=True).click()
    expect(editor.locator("#notice")).to_have_text(
        "This browser could not draw the picture. Reload the page, then try again."
    )
    editor.context.unroute("**/webp_enc_simd.wasm")
    assert download(editor, "Download")[0] == "photo-no-bg.webp"


def padded(page: Page) -> None:
    """A fixed canvas of 200 × 100 pixels, with the handles shown."""
    open_panel(page, "canvas")
    choose(page, "canvas", "pad")
    fill(page, w="200", h="100")
    expect(facts(page)).to_have_text("photo.jpg: 200 × 100 pixels, PNG")
    expect(page.locator("#arrange")).to_have_attribute("aria-pressed", "true")
    page.locator("#stage").scroll_into_view_if_needed()


def middle(handle: Locator) -> tuple[float, float]:
    box = handle.bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def handle(page: Page, name: str) -> Locator:
    return page.get_by_role("slider", name=name, exact=True)


def canvas_height(page: Page) -> float:
    box = page.locator("#handles").bounding_box()
    assert box is not None
    return box["height"]


def test_margins_are_dragged_with_the_mouse(studio: Page):
    padded(studio)
    top, tenth = handle(studio, "Room at the top"), canvas_height(studio) / 10
    expect(top).to_have_attribute("aria-valuenow", "0")
    # Where the margin is 0, the handle lies inside of the canvas.
    x, y = middle(top)
    studio.mouse.move(x, y)
    studio.mouse.down()
    studio.mouse.move(x, y + tenth / 2)
    studio.mouse.move(x, y + tenth)
    studio.mouse.up()
    expect(top).to_have_attribute("aria-valuetext", re.compile(r"^(9\.5|10|10\.5)%$"))
    assert float(value_of(studio, "margin_top")) == pytest.approx(10, abs=0.5)
    studio.get_by_label("Each side separately").check()
    right = handle(studio, "Room on the right")
    x, y = middle(right)
    studio.mouse.move(x, y)
    studio.mouse.down()
    studio.mouse.move(x - 2 * tenth, y)
    studio.mouse.up()
    # A tenth of the height is a twentieth of the width.
    assert float(value_of(studio, "margin_right")) == pytest.approx(20, abs=1)
    assert float(value_of(studio, "margin_left")) == pytest.approx(10, abs=0.5)
    studio.keyboard.press("Control+z")
    assert float(value_of(studio, "margin_right")) == pytest.approx(10, abs=0.5), "a movement is one step back"


def test_margins_of_a_crop_and_the_subject_are_dragged_by_touch(studio: Page):
    padded(studio)
    touch(studio, handle(studio, "Position of the subject"), 400, 0)
    expect(field(studio, "across")).to_have_value("100")
    image = downloaded(studio)
    box = image.getchannel("A").point([255 if value > 9 else 0 for value in range(256)]).getbbox()
    assert box is not None
    assert box[2] == 200
    choose(studio, "canvas", "crop")
    fill(studio, w="", h="")
    expect(facts(studio)).to_have_text("photo.jpg: 61 × 41 pixels, PNG")
    touch(studio, handle(studio, "Room on the left"), -canvas_height(studio) / 5, 0)
    # A fifth of the height is 8 pixels, of a subject that is 61 pixels wide.
    assert float(value_of(studio, "margin_top")) == pytest.approx(13.5, abs=1)


def touch(page: Page, handle: Locator, right: float, down: float) -> None:
    """Drag a handle with a finger."""
    session = page.context.new_cdp_session(page)
    x, y = middle(handle)

    def send(kind: str, *points: tuple[float, float]) -> None:
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y} for x, y in points]})

    send("touchStart", (x, y))
    send("touchMove", (x + right / 2, y + down / 2))
    send("touchMove", (x + right, y + down))
    send("touchEnd")
    session.detach()


@in_one_window
def test_handles_are_moved_by_the_arrow_keys(studio: Page):
    padded(studio)
    top = handle(studio, "Room at the top")
    top.press("ArrowUp")
    top.press("Shift+ArrowUp")
    expect(top).to_have_attribute("aria-valuetext", "11%")
    expect(field(studio, "margin_top")).to_have_value("11")
    top.press("End")
    expect(top).to_have_attribute("aria-valuenow", "45")
    top.press("Home")
    subject = handle(studio, "Position of the subject")
    subject.press("ArrowRight")
    subject.press("Shift+ArrowLeft")
    expect(subject).to_have_attribute("aria-valuetext", "41% across, 50% down")
    expect(field(studio, "across")).to_have_value("41")
    studio.locator("#arrange").click()
    expect(top).to_be_hidden()
    expect(studio.locator("image-compare > input")).to_be_visible()


@in_one_window
def test_a_margin_that_a_cut_off_subject_does_not_have_is_said_at_its_handle(editor: Page, little: bytes):
    matte = Image.new("L", (80, 60))
    matte.paste(255, (20, 20, 60, 60))
    editor.route("**/rmbg", lambda route: route.fulfill(body=encoded(matte), content_type="image/png"))
    add(editor, file("photo.jpg", little))
    editor.get_by_label("PNG").check()
    padded(editor)
    fill(editor, margin_top="10")
    bottom = handle(editor, "Room at the bottom")
    expect(bottom).to_have_attribute("aria-valuetext", re.compile("^10%, without effect"))
    expect(handle(editor, "Room at the top")).to_have_attribute("aria-valuetext", "10%")
    editor.get_by_label("Keep a cut-off subject at its edge").uncheck()
    expect(bottom).to_have_attribute("aria-valuetext", "10%")


@in_one_window
def test_changes_are_undone_and_done_again(studio: Page):
    undo, redo = studio.get_by_role("button", name="Undo"), studio.get_by_role("button", name="Redo")
    choose(studio, "background", "#000000")
    choose(studio, "background", "#f2c14e")
    studio.keyboard.press("Control+z")
    expect(studio.locator("#settings [name=background]:checked")).to_have_value("#000000")
    undo.click()
    expect(studio.locator("#settings [name=background]:checked")).to_have_value("")
    redo.click()
    studio.keyboard.press("Control+Shift+z")
    expect(studio.locator("#settings [name=background]:checked")).to_have_value("#f2c14e")
    expect(redo).to_be_disabled()
    # A text field has an undo for what was typed.
    open_panel(studio, "canvas")
    field(studio, "w").focus()
    studio.keyboard.press("Control+z")
    expect(studio.locator("#settings [name=background]:checked")).to_have_value("#f2c14e")


@ONLY_DESKTOP
def test_the_api_call_makes_the_same(studio: Page, server: ProductServer, server_key: str, photo: bytes):
    open_panel(studio, "canvas", "shadow", "angle")
    field(studio, "preset").select_option("etsy")
    choose(studio, "shadow", "contact")
    fill(studio, w="300", h="200", scale="80", shadow_x="-5", angle="15")
    studio.locator("#api-call summary").click()
    command = shlex.split(studio.locator("#api-curl").inner_text().replace("\\\n", " "))
    fields = dict(pair.split("=", 1) for flag, pair in itertools.pairwise(command) if flag == "-F")
    assert fields.pop("image") == "@photo.jpg"
    assert fields["shadow_offset"] == "-5% 0%"
    assert f"{server.url}/rmbg" in command
    answer = server.rmbg(server_key, data=fields, files={"image": ("photo.jpg", photo)})
    assert answer.status_code == 200, answer.text
    image = Image.open(io.BytesIO(answer.content))
    assert (image.format, image.size) == ("JPEG", (300, 200))


@ONLY_DESKTOP
def test_a_batch_gets_all_that_is_set(studio: Page, green: FilePayload):
    posted: list[Request] = []

    def answer(route: Route) -> None:
        posted.append(route.request)
        route.fulfill(status=429, body="{}", content_type="application/json")

    studio.route("**/api/batches", answer)
    open_panel(studio, "canvas", "shadow", "results")
    choose(studio, "background", "image")
    studio.locator("#bg-file").set_input_files([green])
    expect(studio.locator("#bg-name")).to_have_text("green.png")
    choose(studio, "canvas", "crop")
    fill(studio, margin_top="10")
    choose(studio, "shadow", "drop")
    studio.get_by_role("button", name="Add the mask").click()
    studio.get_by_role("button", name="Send as a batch").click()
    dialog = studio.get_by_role("dialog")
    expect(dialog).to_contain_text("From the settings: cut to the subject, margin 10%, drop shadow, 2 results of each.")
    expect(dialog.get_by_label("Background").locator("option:checked")).to_have_text("Your picture, green.png")
    studio.locator("#batch-files").set_input_files([file("chair.jpg", green["buffer"])])
    dialog.get_by_role("button", name="Send the batch").click()
    expect(dialog.get_by_role("alert")).to_be_visible()
    body = posted[0].post_data_buffer or b""
    assert b'name="bg_image"; filename="green.png"' in body
    assert field_of(body, "crop_margin") == "10%"
    assert field_of(body, "shadow") == "drop"
    assert json.loads(field_of(body, "outputs")) == [{}, {"name": "mask", "format": "png", "mask": True}]
    dialog.get_by_label("Background").select_option("White")
    dialog.get_by_role("button", name="Send the batch").click()
    expect(dialog.get_by_role("button", name="Send the batch")).to_be_enabled()
    body = posted[1].post_data_buffer or b""
    assert b'name="bg_image"' not in body
    assert field_of(body, "bg_color") == "#ffffff"


def field_of(body: bytes, name: str) -> str:
    """A text field of a form that was sent."""
    return body.partition(f'name="{name}"\r\n\r\n'.encode())[2].partition(b"\r\n")[0].decode()


@in_one_window
def test_looking_once_is_another_matte_and_names_its_price(studio: Page, sent: list[Request]):
    open_panel(studio, "model")
    studio.get_by_label("Small subjects").select_option("fast")
    expect(studio.locator("#again-note")).to_contain_text("1 picture was cut out with another model.")
    assert len(sent) == 1
    studio.get_by_role("button", name="Cut it out again for 1 credit", exact=True).click()
    expect(studio.locator("#again-note")).to_be_hidden()
    assert [field_of(one.post_data_buffer or b"", "detail") for one in sent] == ["", "fast"]


@pytest.mark.parametrize("language", ["en", "ar"])
def test_axe_finds_nothing_in_open_sections(browser: Browser, server: ProductServer, little: bytes, language: str):
    """On a desktop in light English, on a phone in dark Arabic."""
    is_arabic = language == "ar"
    context = browser.new_context(
        viewport=PHONE if is_arabic else DESKTOP, base_url=server.url, color_scheme="dark" if is_arabic else "light"
    )
    page = context.new_page()
    sign_in(page, server, make_session(server, f"panels-{language}@example.com", language=language))
    page.route("**/rmbg", fulfil_with_matte)
    page.goto("/editor")
    add(page, file("photo.jpg", little))
    expect(page.locator("li[data-state=done]")).to_have_count(1)
    open_panel(page, *SECTIONS)
    page.locator("#api-call").evaluate("panel => { panel.open = true }")
    choose(page, "canvas", "pad")
    choose(page, "shadow", "contact")
    choose(page, "background", "blur")
    page.locator("[data-add=white]").click()
    expect(page.locator(".handle-top")).to_be_visible()
    check_page(page)
    fill(page, h="")
    page.locator("#settings [name=mask]").check()
    check_page(page)
    small = page.evaluate(SMALL_TARGETS)
    assert not small, small
    context.close()


# Whatever can be pressed is at least 24 pixels in both directions, the native boxes of checks with their labels.
SMALL_TARGETS = """() => [...document.querySelectorAll('#workbench :is(button, summary, select, input, [role=slider])')]
  .filter((one) => one.checkVisibility() && !one.hidden)
  .map((one) => [one, (one.closest('label') ?? one).getBoundingClientRect()])
  .filter(([, { width, height }]) => width > 0 && (width < 24 || height < 24))
  .map(([one]) => one.outerHTML.slice(0, 120))"""
