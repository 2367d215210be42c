"""Many images in the editor: selection, settings for some, doubtful ones, the grid, names, and what a reload keeps."""

import io
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import Browser, Dialog, Page, Request, Route, ViewportSize, expect

from tests.browser.chromium import DESKTOP, PHONE
from tests.browser.page_checks import check_page
from tests.browser.signed_in import make_session, sign_in
from tests.browser.test_editor import ONLY_DESKTOP, add, file, refuse, row
from tests.browser.test_editor import little as little
from tests.browser.windows import in_one_window
from tests.conftest import encoded
from tests.examples import EXHAUSTIVE
from tests.server import ProductServer

pytestmark = pytest.mark.browser

VIEWS: list[tuple[ViewportSize, Literal["light", "dark"]]] = [(DESKTOP, "light"), (PHONE, "dark")]
# What the browser keeps: the number of rows in each store.
ROWS = """async () => {
  const open = indexedDB.open('editor');
  const database = await new Promise((done) => { open.onsuccess = () => done(open.result); });
  const count = async (name) => new Promise((done) => {
    const request = database.transaction(name).objectStore(name).count();
    request.onsuccess = () => done(request.result);
  });
  const rows = {};
  for (const name of database.objectStoreNames) rows[name] = await count(name);
  database.close();
  return rows;
}"""
NOTHING = {"sessions": 0, "pictures": 0, "blobs": 0}


@pytest.fixture(scope="module")
def session(server: ProductServer) -> str:
    return make_session(server, "many@example.com")


def fulfil(route: Route) -> None:
    """Answer in place of the model: an ellipse is the subject. It is unsure of a file whose name says so."""
    sent = route.request.post_data_buffer or b""
    matte = Image.new("L", (80, 60))
    ImageDraw.Draw(matte).ellipse((10, 10, 70, 50), fill=255)
    confidence = "0.000" if b'filename="nothing' in sent else "0.620" if b'filename="doubt' in sent else "0.950"
    route.fulfill(body=encoded(matte), content_type="image/png", headers={"X-Confidence": confidence})


# The editor has opened what this browser keeps.
KEEPING = "#studio[data-keeping=on]"


def open_with(page: Page, little: bytes, *names: str) -> None:
    """Add pictures of these names, and wait until they are done."""
    page.route("**/rmbg", fulfil)
    add(page, *[file(name, little) for name in names])
    expect(page.locator("#queue li[data-state=done]")).to_have_count(len(names))


def come_back(page: Page, count: int) -> None:
    """Reload, and wait for the pictures that were kept."""
    page.reload()
    expect(page.locator("#queue li")).to_have_count(count)


def select(page: Page, *names: str) -> None:
    for name in names:
        page.get_by_label(f"Select {name}", exact=True).check()


def selected(page: Page) -> list[str]:
    """The names of the selected pictures."""
    return page.locator("#queue li:has(.marker input:checked) .name").all_inner_texts()


def facts(page: Page, name: str) -> str:
    """What the stage says about a picture."""
    row(page, name).locator(".pick").click()
    expect(page.locator("#facts")).to_contain_text(f"{name}:")
    return page.locator("#facts").inner_text()


def saved(page: Page, press: Callable[[], None]) -> tuple[str, bytes]:
    with page.expect_download() as started:
        press()
    return started.value.suggested_filename, Path(started.value.path()).read_bytes()


def asked_on_leaving(page: Page) -> list[str]:
    """The questions that the browser asks from now on; each is answered with yes. They need a gesture before."""
    questions: list[str] = []

    def agree(dialog: Dialog) -> None:
        questions.append(dialog.type)
        dialog.accept()

    page.on("dialog", agree)
    page.locator("#facts").click()
    return questions


def names_in(archive: bytes) -> list[str]:
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        return opened.namelist()


@in_one_window
def test_pictures_are_selected_singly_in_ranges_all_and_the_doubtful(editor: Page, little: bytes):
    open_with(editor, little, "one.jpg", "two.jpg", "doubt.jpg", "four.jpg")
    select(editor, "one.jpg")
    expect(editor.locator("#many-selected")).to_have_text("1 selected")
    editor.get_by_label("Select doubt.jpg").click(modifiers=["Shift"])
    assert selected(editor) == ["one.jpg", "two.jpg", "doubt.jpg"]
    row(editor, "two.jpg").locator(".pick").click(modifiers=["Control"])
    assert selected(editor) == ["one.jpg", "doubt.jpg"]
    editor.get_by_label("Select all").check()
    expect(editor.locator("#many-selected")).to_have_text("4 selected")
    editor.get_by_label("Select all").uncheck()
    assert selected(editor) == []
    expect(editor.locator("#many-bar")).to_be_hidden()
    editor.get_by_role("button", name="Select the doubtful").click()
    assert selected(editor) == ["doubt.jpg"]
    editor.get_by_role("button", name="Clear the selection").click()
    assert selected(editor) == []
    expect(row(editor, "two.jpg").locator(".pick")).to_be_focused()


@in_one_window
def test_the_keyboard_moves_and_selects_in_the_list(editor: Page, little: bytes):
    open_with(editor, little, "one.jpg", "two.jpg", "three.jpg")
    row(editor, "one.jpg").locator(".pick").focus()
    editor.keyboard.press("ArrowDown")
    expect(row(editor, "two.jpg").locator(".pick")).to_be_focused()
    editor.keyboard.press("Shift+End")
    assert selected(editor) == ["two.jpg", "three.jpg"]
    editor.keyboard.press("Escape")
    assert selected(editor) == []
    editor.keyboard.press("Control+a")
    assert selected(editor) == ["one.jpg", "two.jpg", "three.jpg"]
    editor.keyboard.press("Home")
    expect(row(editor, "one.jpg").locator(".pick")).to_be_focused()
    reachable = editor.locator("#queue li :is(button, input):not([tabindex='-1'])")
    assert reachable.evaluate_all("all => all.every((one) => one.closest('li').innerText.includes('one.jpg'))")


@in_one_window
def test_settings_are_copied_to_some_and_to_all_and_taken_back(editor: Page, little: bytes):
    open_with(editor, little, "one.jpg", "two.jpg", "three.jpg")
    settings = editor.get_by_role("form", name="Settings")
    settings.get_by_label("Only for this picture").check()
    settings.get_by_label("PNG").check()
    assert facts(editor, "two.jpg").endswith("WebP")
    row(editor, "one.jpg").locator(".pick").click()
    select(editor, "three.jpg")
    editor.get_by_role("button", name="Copy settings").click()
    expect(editor.locator("#many-said")).to_have_text("The settings of one.jpg were copied to 1 picture.")
    assert facts(editor, "three.jpg").endswith("PNG")
    assert facts(editor, "two.jpg").endswith("WebP")
    editor.locator("#many-undo").click()
    expect(editor.locator("#many-said-line")).to_be_hidden()
    assert facts(editor, "three.jpg").endswith("WebP")
    assert facts(editor, "one.jpg").endswith("PNG")
    editor.get_by_role("button", name="Use for all pictures").click()
    assert facts(editor, "two.jpg").endswith("PNG")
    expect(settings.get_by_label("Only for this picture")).not_to_be_checked()
    expect(editor.get_by_role("button", name="Use for all pictures")).to_be_hidden()


@in_one_window
def test_copying_settings_sends_nothing(editor: Page, little: bytes):
    open_with(editor, little, "one.jpg", "two.jpg")
    sent: list[str] = []
    editor.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    editor.get_by_label("Select all").check()
    editor.get_by_role("form", name="Settings").get_by_label("PNG").check()
    editor.get_by_role("button", name="Copy settings").click()
    assert facts(editor, "two.jpg").endswith("PNG")
    assert not sent


def test_doubtful_results_are_marked_and_say_why(editor: Page, little: bytes):
    open_with(editor, little, "sure.jpg", "doubt.jpg", "nothing.jpg")
    expect(row(editor, "sure.jpg").locator(".doubt")).to_be_hidden()
    expect(row(editor, "doubt.jpg").locator(".doubt")).to_have_text("Look at this one")
    row(editor, "doubt.jpg").locator(".pick").click()
    expect(editor.locator("#doubt-note")).to_contain_text("The model is only 62% sure of what belongs to the subject.")
    row(editor, "nothing.jpg").locator(".pick").click()
    expect(editor.locator("#doubt-note")).to_contain_text("The model found no subject in it.")
    editor.get_by_label("Pictures shown").select_option(label="Doubtful only (2)")
    assert editor.locator("#queue li:visible .name").all_inner_texts() == ["doubt.jpg", "nothing.jpg"]
    editor.get_by_role("button", name="It is fine").click()
    expect(row(editor, "nothing.jpg").locator(".doubt")).to_be_hidden()
    assert editor.locator("#queue li:visible .name").all_inner_texts() == ["doubt.jpg"]
    come_back(editor, 3)
    expect(editor.locator("#queue .doubt:visible")).to_have_count(1)


@in_one_window
def test_an_answer_without_a_confidence_is_not_doubtful(editor: Page, little: bytes):
    editor.route(
        "**/rmbg", lambda route: route.fulfill(body=encoded(Image.new("L", (80, 60), 255)), content_type="image/png")
    )
    add(editor, file("photo.jpg", little))
    expect(row(editor, "photo.jpg")).to_contain_text("Done")
    expect(row(editor, "photo.jpg").locator(".doubt")).to_be_hidden()
    expect(editor.locator("#doubt-note")).to_be_hidden()


def corner(page: Page, name: str) -> list[int]:
    """The colour of the first pixel of a picture's thumbnail."""
    canvas = row(page, name).locator(".thumb canvas")
    return canvas.evaluate("canvas => [...canvas.getContext('2d').getImageData(0, 0, 1, 1).data]")


@ONLY_DESKTOP
def test_the_grid_shows_the_results_and_opens_one(editor: Page, little: bytes):
    open_with(editor, little, "one.jpg", "two.jpg", "three.jpg")
    editor.get_by_role("button", name="Grid").click()
    expect(editor.locator("#stage")).to_be_hidden()
    until(editor, lambda: corner(editor, "two.jpg")[3] == 0)
    editor.get_by_role("form", name="Settings").get_by_label("Yellow").check()
    until(editor, lambda: corner(editor, "two.jpg") == [242, 193, 78, 255])
    come_back(editor, 3)
    expect(editor.locator("#stage")).to_be_hidden()
    until(editor, lambda: corner(editor, "three.jpg") == [242, 193, 78, 255])
    row(editor, "one.jpg").locator(".pick").focus()
    editor.keyboard.press("ArrowRight")
    editor.keyboard.press("Enter")
    expect(editor.locator("#facts")).to_contain_text("two.jpg")
    editor.get_by_role("button", name="Grid").click()
    row(editor, "three.jpg").locator(".pick").dblclick()
    expect(editor.locator("#facts")).to_contain_text("three.jpg")
    expect(editor.get_by_role("button", name="List")).to_have_attribute("aria-pressed", "true")
    come_back(editor, 3)
    expect(editor.get_by_role("button", name="Grid")).to_have_attribute("aria-pressed", "true")


def until(page: Page, holds: Callable[[], bool]) -> None:
    """Wait until it holds."""
    for _ in range(100):
        if holds():
            return
        page.wait_for_timeout(100)
    raise AssertionError("it does not hold after ten seconds")


def test_a_finger_opens_a_picture_of_the_grid(browser: Browser, server: ProductServer, session: str, little: bytes):
    context = browser.new_context(viewport=PHONE, base_url=server.url, has_touch=True)
    page = context.new_page()
    sign_in(page, server, session)
    page.goto("/editor")
    open_with(page, little, "one.jpg", "two.jpg", "three.jpg")
    page.get_by_role("button", name="Grid").click()
    tops = page.locator("#queue li").evaluate_all("rows => rows.map((row) => row.getBoundingClientRect().top)")
    assert tops[0] == tops[1] != tops[2]
    row(page, "two.jpg").locator(".pick").tap()
    expect(page.locator("#facts")).to_contain_text("two.jpg")
    expect(page.locator("#stage")).to_be_visible()
    context.close()


@in_one_window
def test_the_selection_is_downloaded_and_removed(editor: Page, little: bytes):
    open_with(editor, little, "one.jpg", "two.jpg", "three.jpg")
    select(editor, "one.jpg", "three.jpg")
    bar = editor.get_by_role("group", name="The selected pictures")
    name, archive = saved(editor, bar.get_by_role("button", name="Download").click)
    assert (name, names_in(archive)) == ("cutouts.zip", ["one-no-bg.webp", "three-no-bg.webp"])
    editor.get_by_label("Select all").check()
    bar.get_by_role("button", name="Remove").click()
    question = editor.get_by_role("dialog", name="Remove 3 pictures?")
    expect(question).to_contain_text("1 result has not been downloaded, and will be lost.")
    question.get_by_role("button", name="Cancel").click()
    assert len(selected(editor)) == 3
    bar.get_by_role("button", name="Remove").click()
    question.get_by_role("button", name="Remove").click()
    expect(editor.get_by_role("button", name="Choose pictures")).to_be_focused()
    until(editor, lambda: editor.evaluate(ROWS) == NOTHING)


@in_one_window
def test_those_that_failed_are_tried_again_and_waiting_ones_stopped(editor: Page, little: bytes):
    editor.route("**/rmbg", lambda route: refuse(route, 500, "internal_error"))
    add(editor, file("one.jpg", little), file("two.jpg", little), file("notes.png", b"no picture"))
    expect(editor.locator("#many-done")).to_have_text("0 of 3 done")
    expect(editor.locator("#queue li[data-state=failed]")).to_have_count(3)
    editor.unroute_all()
    editor.route("**/rmbg", lambda route: None)
    with editor.expect_request("**/rmbg"):
        editor.get_by_role("button", name="Try 2 again").click()
    expect(editor.locator("#many-progress")).to_be_visible()
    editor.get_by_role("button", name="Stop all").click()
    expect(editor.locator("#queue li[data-state=cancelled]")).to_have_count(2)
    expect(editor.locator("#many-progress")).to_be_hidden()
    editor.unroute_all()
    editor.route("**/rmbg", fulfil)
    select(editor, "one.jpg", "notes.png")
    editor.get_by_role("group", name="The selected pictures").get_by_role("button", name="Try again").click()
    expect(editor.locator("#many-done")).to_have_text("1 of 3 done")
    editor.get_by_label("Pictures shown").select_option(label="Failed or cancelled (2)")
    assert editor.locator("#queue li:visible .name").all_inner_texts() == ["two.jpg", "notes.png"]


@in_one_window
def test_selected_pictures_that_are_not_done_go_into_a_batch(editor: Page, little: bytes):
    editor.route("**/rmbg", lambda route: refuse(route, 500, "internal_error"))
    add(editor, file("one.jpg", little), file("two.jpg", little))
    expect(editor.locator("#queue li[data-state=failed]")).to_have_count(2)
    select(editor, "two.jpg")
    editor.get_by_role("group", name="The selected pictures").get_by_role("button", name="Send as a batch").click()
    expect(editor.locator("#batch-what")).to_contain_text("1 picture")


@in_one_window
def test_downloads_are_named_by_a_pattern(editor: Page, little: bytes):
    open_with(editor, little, "cat.jpg", "dog.jpg")
    dialog = name_by(editor, "{nmae}")
    expect(dialog.get_by_role("alert")).to_contain_text("is unknown. There are")
    problem = dialog.get_by_role("alert").inner_text()
    assert plain(problem) == "{nmae} is unknown. There are {name}, {number}, {date}, {width}, {height}, {output}."
    expect(dialog.get_by_role("button", name="Use these names")).to_be_disabled()
    dialog.get_by_label("Pattern").fill("Shop: {number:3}_{width}x{height}")
    expect(dialog.get_by_role("alert")).to_be_hidden()
    expect(dialog.locator("#names-example")).to_have_text("Shop 001_80x60.webp")
    dialog.get_by_role("button", name="Use these names").click()
    row(editor, "dog.jpg").locator(".pick").click()
    name, _ = saved(editor, editor.locator("#download").click)
    assert name == "Shop 002_80x60.webp"
    editor.reload()
    expect(editor.locator("#names-now")).to_have_text("Shop: {number:3}_{width}x{height}")
    dialog = name_by(editor, "all")
    dialog.get_by_role("button", name="Use these names").click()
    _, archive = saved(editor, editor.get_by_role("button", name="Download all (2)").click)
    assert names_in(archive) == ["all.webp", "all-2.webp"]


def plain(text: str) -> str:
    """Without the characters that isolate tokens from a text of the other direction."""
    return re.sub("[\u2066\u2069]", "", text)


def name_by(page: Page, pattern: str) -> Any:
    page.get_by_role("button", name="Change the names of downloads").click()
    dialog = page.get_by_role("dialog", name="Names of downloads")
    dialog.get_by_label("Pattern").fill(pattern)
    return dialog


NAMES = "async ([files, pattern]) => (await import('/static/imaging/names.js')).downloadNames(files, pattern)"
PROBLEM = "async (pattern) => (await import('/static/imaging/names.js')).patternProblem(pattern)"


@ONLY_DESKTOP
def test_names_suit_every_file_system(page: Page):
    page.goto("/")

    def named(pattern: str, *names: str, **others: Any) -> list[str]:
        files = [{"name": name, "extension": "png", "number": at + 1, **others} for at, name in enumerate(names)]
        return page.evaluate(NAMES, [files, pattern])

    usual = ["cat-no-bg.png", "cat-no-bg-2.png", "Cat-no-bg-3.png", "a.b-no-bg.png", "image-no-bg.png"]
    assert named("{name}-no-bg", "cat.jpg", "folder/cat.webp", "Cat.png", "a.b.png", ".png") == usual
    assert named("{number}-{name}", "a.png", "b.png") == ["1-a.png", "2-b.png"]
    assert named('<{name}>:"/\\|?*\u202e\n. ', "a.png") == ["a.png"]
    assert named("{name}", "con.png", "...png") == ["_con.png", "image.png"]
    assert named("{name}", "ق" * 200 + ".png") == ["ق" * 100 + ".png"]
    assert named("{name}-{output}", "a.png") == ["a.png"]
    assert named("{name}-{output}", "a.png", output="shop") == ["a-shop.png"]
    assert named("{name}", "a.png", output="shop") == ["a-shop.png"]
    assert re.fullmatch(r"a \d{4}-\d\d-\d\d\.png", named("{name} {date}", "a.png")[0])


@ONLY_DESKTOP
@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        ("{name}", None),
        ("{number:3}", None),
        (" ", "Write a pattern, such as {name}-no-bg."),
        ("{name", "A brace has no partner. Write {name}, with one brace at each end."),
        ("{number:9}", "{number:9} is not understood. {number:3} makes three digits, 1 to 6 are possible."),
        ("{name:2}", "{name:2} is not understood. {number:3} makes three digits, 1 to 6 are possible."),
    ],
)
def test_a_wrong_pattern_says_what_is_wrong(editor: Page, pattern: str, problem: str | None):
    found = editor.evaluate(PROBLEM, pattern)
    assert (found and plain(found)) == problem


@in_one_window
def test_a_reload_keeps_the_pictures_and_asks_for_nothing(editor: Page, little: bytes):
    open_with(editor, little, "one.jpg", "doubt.jpg", "three.jpg")
    settings = editor.get_by_role("form", name="Settings")
    settings.get_by_label("Yellow").check()
    row(editor, "doubt.jpg").locator(".pick").click()
    settings.get_by_label("Only for this picture").check()
    settings.get_by_label("PNG").check()
    row(editor, "one.jpg").get_by_role("button", name="Remove one.jpg").click()
    expect(editor.locator("#kept-note")).to_contain_text(
        "Your pictures stay in this browser only, for 7 days or until you log out"
    )
    until(editor, lambda: editor.evaluate(ROWS) == {"sessions": 1, "pictures": 2, "blobs": 4})
    sent: list[str] = []
    editor.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    questions = asked_on_leaving(editor)
    come_back(editor, 2)
    assert editor.locator("#queue .name").all_inner_texts() == ["doubt.jpg", "three.jpg"]
    assert facts(editor, "three.jpg").endswith("WebP")
    expect(settings.get_by_label("Yellow")).to_be_checked()
    assert facts(editor, "doubt.jpg").endswith("PNG")
    expect(settings.get_by_label("Only for this picture")).to_be_checked()
    name, data = saved(editor, editor.locator("#download").click)
    assert (name, Image.open(io.BytesIO(data)).convert("RGB").getpixel((0, 0))) == ("doubt-no-bg.png", (242, 193, 78))
    assert not sent
    assert not questions


@in_one_window
def test_an_upload_that_a_reload_interrupted_goes_on_with_the_same_key(editor: Page, little: bytes):
    keys: dict[str, list[str]] = {"first.jpg": [], "second.jpg": [], "third.jpg": []}

    def note(request: Request) -> None:
        if request.url.endswith("/rmbg"):
            (name,) = (name for name in keys if f'filename="{name}"'.encode() in (request.post_data_buffer or b""))
            keys[name].append(request.headers["idempotency-key"])

    editor.on("request", note)
    editor.route("**/rmbg", lambda route: None)
    add(editor, *[file(name, little) for name in keys])
    until(editor, lambda: editor.evaluate(ROWS)["pictures"] == 3)
    # The editor sends two at once, in the order in which they have been read.
    until(editor, lambda: sum(map(len, keys.values())) == 2)
    editor.unroute_all()
    editor.route("**/rmbg", fulfil)
    editor.reload()
    expect(editor.locator("#queue li[data-state=done]")).to_have_count(3)
    assert sorted(map(len, keys.values())) == [1, 2, 2]
    assert all(len(set(sent)) == 1 for sent in keys.values()), "another key would be charged again"


@in_one_window
def test_a_failure_is_still_explained_after_a_reload(editor: Page, little: bytes):
    editor.route("**/rmbg", lambda route: refuse(route, 429, "monthly_limit_reached"))
    add(editor, file("photo.jpg", little), file("notes.png", b"no picture"))
    expect(editor.locator("#queue li[data-state=failed]")).to_have_count(2)
    until(editor, lambda: editor.evaluate(ROWS)["pictures"] == 2)
    come_back(editor, 2)
    expect(editor.locator("#pending")).to_contain_text("You have no credits left.")
    expect(editor.locator("#pending code")).to_have_text("req-1")
    row(editor, "notes.png").locator(".pick").click()
    expect(editor.locator("#pending")).to_contain_text("This file is not a picture that we can read.")
    expect(row(editor, "notes.png").get_by_role("button", name="again")).to_have_count(0)


TOUCH = """async (bytes) => {
  const { Picture } = await import('/static/imaging/picture.js');
  const { preview } = Picture.prototype;
  const picture = await new Promise((done) => {
    Picture.prototype.preview = function (options) { done(this); return preview.call(this, options); };
    document.querySelector('.pick').click();
  });
  Picture.prototype.preview = preview;
  picture.setTouched(new Blob([new Uint8Array(bytes)], { type: 'image/png' }));
  document.querySelector('.pick').click();
}"""


@in_one_window
def test_a_matte_that_was_touched_up_survives_a_reload(editor: Page, little: bytes):
    open_with(editor, little, "doubt.jpg")
    editor.evaluate(TOUCH, list(encoded(Image.new("L", (80, 60), 255))))
    expect(editor.locator("#doubt-note")).to_be_hidden()
    until(editor, lambda: editor.evaluate(ROWS)["blobs"] == 3)
    editor.get_by_role("form", name="Settings").get_by_label("PNG").check()
    come_back(editor, 1)
    expect(editor.locator("#doubt-note")).to_be_hidden()
    expect(editor.locator("#facts")).to_contain_text("PNG")
    _, data = saved(editor, editor.locator("#download").click)
    assert Image.open(io.BytesIO(data)).convert("RGBA").getextrema()[3] == (255, 255)


@in_one_window
def test_forgetting_deletes_everything_in_the_browser(editor: Page, little: bytes):
    open_with(editor, little, "one.jpg", "two.jpg")
    until(editor, lambda: editor.evaluate(ROWS) == {"sessions": 1, "pictures": 2, "blobs": 4})
    editor.get_by_role("button", name="Forget these pictures").click()
    question = editor.get_by_role("dialog", name="Forget these pictures?")
    expect(question.get_by_role("button", name="Cancel")).to_be_focused()
    editor.keyboard.press("Escape")
    expect(editor.locator("#queue li")).to_have_count(2)
    editor.get_by_role("button", name="Forget these pictures").click()
    question.get_by_role("button", name="Forget them").click()
    expect(editor.locator("#announcer")).to_have_text("The pictures are forgotten.")
    assert editor.evaluate(ROWS) == NOTHING
    editor.reload()
    expect(editor.get_by_role("button", name="Choose pictures")).to_be_visible()


@in_one_window
def test_another_account_on_the_same_browser_finds_nothing(editor: Page, server: ProductServer, session: str, little: bytes):
    open_with(editor, little, "one.jpg")
    until(editor, lambda: editor.evaluate(ROWS)["pictures"] == 1)
    sign_in(editor, server, make_session(server, "many-other@example.com"))
    editor.goto("/editor")
    expect(editor.locator(KEEPING)).to_be_attached()
    expect(editor.locator("#queue li")).to_have_count(0)
    assert editor.evaluate(ROWS) == NOTHING
    sign_in(editor, server, session)
    editor.goto("/editor")
    expect(editor.locator(KEEPING)).to_be_attached()
    expect(editor.locator("#queue li")).to_have_count(0)


@ONLY_DESKTOP
def test_a_log_out_deletes_the_pictures_and_an_ended_session_does_not(editor: Page, server: ProductServer, little: bytes):
    sign_in(editor, server, make_session(server, "many-leaves@example.com"))
    editor.goto("/editor")
    open_with(editor, little, "one.jpg")
    until(editor, lambda: editor.evaluate(ROWS)["pictures"] == 1)
    ended = editor.context.cookies()
    editor.context.clear_cookies(name="sessionid")
    editor.goto("/editor")
    expect(editor).to_have_url(re.compile(r"/accounts/login/\?next=/editor"))
    editor.context.add_cookies([{"name": one["name"], "value": one["value"], "url": server.url} for one in ended])
    editor.goto("/editor")
    expect(editor.locator("#queue li")).to_have_count(1)
    editor.on("dialog", lambda dialog: dialog.accept())
    editor.get_by_role("button", name="Log out").click()
    expect(editor).to_have_url(re.compile(r"/accounts/login/$"))
    until(editor, lambda: editor.evaluate("indexedDB.databases()") == [])


# As browsers do it where the quota is used up.
FULL = """() => {
  IDBObjectStore.prototype.put = () => { throw new DOMException('', 'QuotaExceededError'); };
}"""


@in_one_window
def test_a_full_browser_says_so_and_the_work_goes_on(editor: Page, little: bytes):
    open_with(editor, little, "one.jpg")
    until(editor, lambda: editor.evaluate(ROWS)["pictures"] == 1)
    editor.evaluate(FULL)
    add(editor, file("two.jpg", little))
    expect(editor.locator("#notice")).to_contain_text("This browser has no room to keep more pictures.")
    expect(row(editor, "two.jpg")).to_contain_text("Done")
    questions = asked_on_leaving(editor)
    come_back(editor, 1)
    assert questions == ["beforeunload"]
    expect(row(editor, "one.jpg")).to_contain_text("Done")


@in_one_window
def test_a_browser_that_keeps_nothing_asks_before_a_loss(editor: Page, little: bytes):
    editor.add_init_script("Object.defineProperty(globalThis, 'indexedDB', { value: undefined })")
    editor.goto("/editor")
    open_with(editor, little, "one.jpg")
    expect(editor.locator("#kept-note")).to_have_text(
        "This browser does not keep your pictures: download them before you leave this page."
    )
    questions = asked_on_leaving(editor)
    editor.reload()
    expect(editor.get_by_role("button", name="Choose pictures")).to_be_visible()
    assert questions == ["beforeunload"]


@in_one_window
def test_nothing_is_said_of_keeping_before_it_is_known(editor: Page, little: bytes):
    editor.add_init_script("LockManager.prototype.request = () => new Promise(() => {})")
    editor.goto("/editor")
    open_with(editor, little, "one.jpg")
    expect(editor.locator("#kept-note")).to_be_empty()


@in_one_window
def test_two_tabs_keep_their_own_and_the_next_one_takes_over_what_closed_tabs_left(editor: Page, little: bytes):
    open_with(editor, little, "first.jpg")
    editor.get_by_role("form", name="Settings").get_by_label("PNG").check()
    second = editor.context.new_page()
    second.goto("/editor")
    expect(second.locator(KEEPING)).to_be_attached()
    expect(second.locator("#queue li")).to_have_count(0)
    open_with(second, little, "second.jpg")
    until(second, lambda: second.evaluate(ROWS)["pictures"] == 2)
    come_back(editor, 1)
    assert facts(editor, "first.jpg").endswith("PNG")
    come_back(second, 1)
    assert facts(second, "second.jpg").endswith("WebP")
    second.close()
    third = editor.context.new_page()
    third.goto("/editor")
    expect(third.locator("#queue .name")).to_have_text("second.jpg")
    third.close()
    come_back(editor, 2)
    assert editor.locator("#queue .name").all_inner_texts() == ["second.jpg", "first.jpg"]
    assert facts(editor, "second.jpg").endswith("WebP")
    assert facts(editor, "first.jpg").endswith("PNG")


AGE = """async (days) => {
  const open = indexedDB.open('editor');
  const database = await new Promise((done) => { open.onsuccess = () => done(open.result); });
  const store = database.transaction('sessions', 'readwrite').objectStore('sessions');
  const rows = store.getAll();
  await new Promise((done) => { rows.onsuccess = done; });
  for (const row of rows.result) store.put({ ...row, changed: Date.now() - days * 24 * 3600 * 1000 });
  await new Promise((done) => { store.transaction.oncomplete = done; });
  database.close();
}"""


@in_one_window
def test_pictures_are_kept_for_seven_days(editor: Page, little: bytes):
    open_with(editor, little, "one.jpg")
    until(editor, lambda: editor.evaluate(ROWS)["blobs"] == 2)
    editor.evaluate(AGE, 6.9)
    come_back(editor, 1)
    until(editor, lambda: editor.evaluate(ROWS)["blobs"] == 2)
    editor.evaluate(AGE, 7.1)
    editor.reload()
    expect(editor.locator(KEEPING)).to_be_attached()
    expect(editor.locator("#queue li")).to_have_count(0)
    assert editor.evaluate(ROWS) == NOTHING


@pytest.mark.parametrize("language", ["en", "ar"])
def test_axe_finds_nothing(browser: Browser, server: ProductServer, little: bytes, language: str):
    """By default on a desktop in light English and on a phone in dark Arabic."""
    session = make_session(server, f"many-axe-{language}@example.com", language=language)
    for viewport, scheme in VIEWS if EXHAUSTIVE else [VIEWS[language == "ar"]]:
        context = browser.new_context(viewport=viewport, base_url=server.url, color_scheme=scheme)
        page = context.new_page()
        sign_in(page, server, session)
        page.goto("/editor")
        open_with(page, little, "one.jpg", "doubt.jpg", "three.jpg")
        page.locator("#queue .pick").nth(1).click()
        page.locator("#queue .marker input").first.check()
        expect(page.locator("#doubt-note")).to_be_visible()
        check_page(page)
        page.locator("#view-grid").click()
        check_page(page)
        page.locator("#names").click()
        page.locator("#names-pattern").fill("{nmae}")
        check_page(page)
        page.keyboard.press("Escape")
        page.locator("#forget").click()
        check_page(page)
        context.close()
