"""The editor: many images, one credit each, and every later change free."""

import io
import json
import zipfile
from pathlib import Path
from typing import Literal

import pytest
import requests
from PIL import Image, ImageDraw
from playwright.sync_api import Browser, FilePayload, Locator, Page, Request, Route, ViewportSize, expect

from tests.browser.chromium import DESKTOP, PHONE
from tests.browser.page_checks import check_page
from tests.browser.signed_in import make_session, sign_in
from tests.browser.test_compositing import difference
from tests.browser.windows import in_one_window
from tests.conftest import encoded
from tests.examples import EXHAUSTIVE
from tests.server import ProductServer

pytestmark = pytest.mark.browser

SAMPLES = Path(__file__).parent.parent.parent / "imaging/static/imaging/samples"
# The machine may be busy with other tests.
SLOW = 60_000
VIEWS: list[tuple[ViewportSize, Literal["light", "dark"]]] = [(DESKTOP, "light"), (PHONE, "dark")]
ONLY_DESKTOP = pytest.mark.parametrize("page", [DESKTOP], indirect=True, ids=["desktop"])


@pytest.fixture(scope="module")
def session(server: ProductServer) -> str:
    return make_session(server, "editor@example.com")


def file(name: str, data: bytes) -> FilePayload:
    media_type = "image/" + name.rpartition(".")[2].replace("jpg", "jpeg")
    return {"name": name, "mimeType": media_type, "buffer": data}


def add(page: Page, *files: FilePayload) -> None:
    # Its script starts after the page has loaded.
    page.locator("#choose:enabled").wait_for(state="attached")
    page.locator("#files").set_input_files(list(files))


def row(page: Page, name: str) -> Locator:
    return page.locator("#queue li", has_text=name)


def open_panel(page: Page, *names: str) -> None:
    """Open sections of the settings."""
    for name in names:
        page.locator(f"[data-panel={name}]").evaluate("panel => { panel.open = true }")


def left(server: ProductServer, session: str) -> int:
    """The credits that the customer has left."""
    return requests.get(f"{server.url}/billing/balance", cookies={"sessionid": session}, timeout=30).json()["left"]


def fulfil_with_matte(route: Route) -> None:
    """Answer for `little` in place of the model: an ellipse is the subject."""
    matte = Image.new("L", (80, 60))
    ImageDraw.Draw(matte).ellipse((10, 10, 70, 50), fill=255)
    route.fulfill(body=encoded(matte), content_type="image/png", headers={"X-Credits-Charged": "1"})


def refuse(route: Route, status: int, code: str, **headers: str) -> None:
    body = json.dumps({"error": "In English.", "code": code, "status": status})
    route.fulfill(status=status, body=body, content_type="application/json", headers={"X-Request-Id": "req-1", **headers})


def download(page: Page, button: str) -> tuple[str, bytes]:
    with page.expect_download(timeout=SLOW) as started:
        page.get_by_role("button", name=button, exact=True).click()
    return started.value.suggested_filename, Path(started.value.path()).read_bytes()


@pytest.fixture
def little(photo: bytes) -> bytes:
    """An image of 80 × 60 pixels."""
    return encoded(Image.open(io.BytesIO(photo)).resize((80, 60)), "JPEG")


@pytest.fixture
def sent(editor: Page) -> list[Request]:
    """The requests for a matte; each is answered with an ellipse of 61 × 41 pixels, 10 pixels from the sides of `little`."""
    found: list[Request] = []

    def answer(route: Route) -> None:
        found.append(route.request)
        fulfil_with_matte(route)

    editor.route("**/rmbg", answer)
    return found


@ONLY_DESKTOP
def test_a_jpeg_of_an_uncommon_name_is_cut_out_and_keeps_its_name(editor: Page, little: bytes):
    editor.route("**/rmbg", fulfil_with_matte)
    assert ".jfif" in str(editor.locator("#files").get_attribute("accept"))
    with editor.expect_request("**/rmbg") as sent:
        editor.evaluate(DROP, list(little))
    assert b'name="image"; filename="chair.jpg"' in (sent.value.post_data_buffer or b"")
    expect(row(editor, "chair.jfif")).to_contain_text("Done", timeout=SLOW)


DROP = """(bytes) => {
  const dataTransfer = new DataTransfer();
  dataTransfer.items.add(new File([new Uint8Array(bytes)], 'chair.jfif', { type: 'image/jpeg' }));
  document.dispatchEvent(new DragEvent('drop', { dataTransfer, bubbles: true, cancelable: true }));
}"""


def test_pictures_cost_one_credit_each_and_every_later_change_is_free(
    editor: Page, server: ProductServer, server_key: str, session: str, photo: bytes
):
    before, sent = left(server, session), []
    editor.on("request", lambda request: sent.append(request.url) if request.url.endswith("/rmbg") else None)
    cat = (SAMPLES / "cat.jpg").read_bytes()
    add(editor, file("photo.jpg", photo), file("photo.jpg", cat), file("notes.png", b"no picture"))
    expect(editor.get_by_role("button", name="Download all (2)")).to_be_visible(timeout=SLOW)
    expect(editor.locator(".balance-text")).to_have_text(f"{before - 2} credits left")
    refuses_what_is_no_picture(editor)
    editor.locator(".pick").first.click()
    change_everything(editor)
    name, data = download(editor, "Download")
    assert name == "photo-no-bg.jpeg"
    options = {"format": "jpeg", "bg_color": "f2c14e", "w": "200", "angle": "90"}
    expected = server.rmbg(server_key, data=options, files={"image": ("photo.jpg", photo)}).content
    agrees(data, expected)
    holds_both(*download(editor, "Download all (2)"))
    assert len(sent) == 2, "one request for each picture, none for a change or a download"
    assert left(server, session) == before - 2
    assert editor.evaluate("document.documentElement.scrollWidth <= innerWidth")


def refuses_what_is_no_picture(page: Page) -> None:
    row(page, "notes.png").locator(".pick").click()
    expect(page.locator("#pending")).to_contain_text("This file is not a picture that we can read. Choose a JPEG")
    expect(row(page, "notes.png").get_by_role("button", name="again")).to_have_count(0)


def change_everything(page: Page) -> None:
    """Yellow, JPEG, turned to the left, 200 pixels wide, by way of a mask."""
    settings = page.get_by_role("form", name="Settings")
    open_panel(page, "edges", "angle", "canvas")
    settings.get_by_label("Only the mask").check()
    settings.get_by_label("Only the mask").uncheck()
    settings.get_by_label("Yellow").check()
    settings.get_by_label("JPEG").check()
    settings.get_by_role("button", name="Turn left by 90 degrees").click()
    settings.get_by_label("Width").fill("200")
    expect(page.locator("#facts")).to_have_text("photo.jpg: 200 × 200 pixels, JPEG")


def agrees(data: bytes, expected: bytes) -> None:
    ours, theirs = Image.open(io.BytesIO(data)), Image.open(io.BytesIO(expected))
    assert (ours.format, ours.size) == (theirs.format, theirs.size) == ("JPEG", (200, 200))
    # Browsers store the colours of JPEG at half the resolution.
    assert difference(ours, theirs) < 3


def holds_both(name: str, data: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        pictures = {entry: Image.open(archive.open(entry)) for entry in archive.namelist()}
        sizes = {entry: (picture.format, picture.size) for entry, picture in pictures.items()}
    assert name == "cutouts.zip"
    # The cat, 451 pixels wide and 300 high, lies on its side.
    assert sizes == {"photo-no-bg.jpeg": ("JPEG", (200, 200)), "photo-no-bg-2.jpeg": ("JPEG", (200, 301))}


@in_one_window
def test_a_cancelled_picture_can_be_tried_again_for_one_credit(
    editor: Page, server: ProductServer, session: str, little: bytes
):
    before = left(server, session)
    editor.route("**/rmbg", lambda route: None)
    with editor.expect_request("**/rmbg") as first:
        add(editor, file("photo.jpg", little))
    expect(row(editor, "photo.jpg")).to_contain_text("Uploading")
    row(editor, "photo.jpg").get_by_role("button", name="Cancel photo.jpg").click()
    expect(row(editor, "photo.jpg")).to_contain_text("Cancelled")
    editor.unroute_all()
    with editor.expect_request("**/rmbg") as again:
        row(editor, "photo.jpg").get_by_role("button", name="Try photo.jpg again").click()
    expect(row(editor, "photo.jpg")).to_contain_text("Done", timeout=SLOW)
    keys = {sent.value.headers["idempotency-key"] for sent in (first, again)}
    assert len(keys) == 1, "the server can tell that it is the same picture"
    assert left(server, session) == before - 1


@in_one_window
def test_a_stale_token_is_renewed_and_a_wish_to_wait_is_followed(editor: Page, little: bytes):
    answers = [
        lambda route: refuse(route, 401, "invalid_api_key"),
        lambda route: refuse(route, 429, "rate_limited", **{"Retry-After": "2"}),
        fulfil_with_matte,
    ]
    bearers = []

    def answer(route: Route) -> None:
        bearers.append(route.request.headers["authorization"])
        answers.pop(0)(route)

    editor.route("**/rmbg", answer)
    add(editor, file("photo.jpg", little))
    expect(editor.locator("#notice")).to_have_text("The server is busy: continuing in 2 seconds.")
    expect(row(editor, "photo.jpg")).to_contain_text("Done")
    expect(editor.locator("#notice")).to_be_hidden()
    assert not answers
    assert all(bearer.startswith("Bearer ") for bearer in bearers)


@ONLY_DESKTOP
@pytest.mark.parametrize(
    ("status", "code", "sentence", "link"),
    [
        (429, "monthly_limit_reached", "You have no credits left. Buy credits or choose a larger plan", "/pricing"),
        (403, "email_not_verified", "Your e-mail address is not verified yet.", "/accounts/email/"),
        (500, "internal_error", "Something went wrong on our side. You were not charged.", None),
        (418, "teapot", "In English.", None),
    ],
)
def test_an_error_is_a_sentence_with_what_to_do(editor: Page, little: bytes, status, code, sentence, link):
    editor.route("**/rmbg", lambda route: refuse(route, status, code))
    add(editor, file("photo.jpg", little))
    shown = editor.locator("#pending .pending-text")
    expect(shown).to_contain_text(sentence)
    expect(shown.locator("code")).to_have_text("req-1")
    expect(shown.locator("a")).to_have_count(1 if link else 0)
    if link:
        expect(shown.locator("a")).to_have_attribute("href", link)


@in_one_window
def test_one_picture_can_have_settings_of_its_own(editor: Page, little: bytes):
    editor.route("**/rmbg", fulfil_with_matte)
    add(editor, file("one.jpg", little), file("two.jpg", little))
    expect(editor.get_by_role("button", name="Download all (2)")).to_be_visible()
    settings = editor.get_by_role("form", name="Settings")
    open_panel(editor, "canvas")
    settings.get_by_label("PNG").check()
    settings.get_by_label("Only for this picture").check()
    settings.get_by_label("Height").fill("30")
    expect(editor.locator("#facts")).to_have_text("one.jpg: 40 × 30 pixels, PNG")
    row(editor, "two.jpg").locator(".pick").click()
    expect(editor.locator("#facts")).to_have_text("two.jpg: 80 × 60 pixels, PNG")
    settings.get_by_label("Width").fill("0")
    expect(settings.get_by_role("alert")).to_have_text("A side is a whole number of pixels from 1 to 10,000.")
    row(editor, "one.jpg").get_by_role("button", name="Remove one.jpg").click()
    row(editor, "two.jpg").get_by_role("button", name="Remove two.jpg").click()
    expect(editor.get_by_role("button", name="Choose pictures")).to_be_focused()


@in_one_window
def test_the_keyboard_alone_is_enough(editor: Page, little: bytes):
    editor.route("**/rmbg", fulfil_with_matte)
    with editor.expect_file_chooser() as chooser:
        tab_to(editor, "#choose")
        editor.keyboard.press("Enter")
    chooser.value.set_files(file("photo.jpg", little))
    expect(row(editor, "photo.jpg")).to_contain_text("Done")
    expect(editor.locator("#announcer")).to_have_text("photo.jpg: Done")
    tab_to(editor, "#queue .pick")
    editor.keyboard.press("Enter")
    expect(editor.locator("image-compare")).to_be_visible()
    tab_to(editor, "image-compare input")
    editor.keyboard.press("ArrowRight")
    assert editor.locator("image-compare").evaluate("element => element.style.getPropertyValue('--split')") == "1%"
    tab_to(editor, "[name=background]")
    editor.keyboard.press("ArrowRight")
    tab_to(editor, "[name=format]")
    editor.keyboard.press("ArrowRight")
    expect(editor.locator("#facts")).to_have_text("photo.jpg: 80 × 60 pixels, PNG")
    tab_to(editor, "#download")
    with editor.expect_download() as started:
        editor.keyboard.press("Enter")
    picture = Image.open(started.value.path())
    assert (started.value.suggested_filename, picture.size) == ("photo-no-bg.png", (80, 60))
    assert picture.convert("RGBA").getpixel((0, 0)) == (255, 255, 255, 255)


def tab_to(page: Page, selector: str) -> None:
    """Press Tab until it has the focus."""
    for _ in range(40):
        if page.evaluate("(selector) => document.activeElement.matches(selector)", selector):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"the keyboard does not reach {selector}")


@pytest.mark.parametrize("language", ["en", "ar"])
def test_axe_finds_nothing(browser: Browser, server: ProductServer, little: bytes, language: str):
    """By default on a desktop in light English and on a phone in dark Arabic."""
    session = make_session(server, f"axe-{language}@example.com", language=language)
    for viewport, scheme in VIEWS if EXHAUSTIVE else [VIEWS[language == "ar"]]:
        context = browser.new_context(viewport=viewport, base_url=server.url, color_scheme=scheme)
        page = context.new_page()
        sign_in(page, server, session)
        page.route("**/rmbg", fulfil_with_matte)
        page.goto("/editor")
        assert page.locator("html").get_attribute("dir") == {"en": "ltr", "ar": "rtl"}[language]
        check_page(page)
        add(page, file("photo.jpg", little), file("notes.png", b"no picture"))
        expect(page.locator("li[data-state=done]")).to_have_count(1)
        check_page(page)
        row(page, "notes.png").locator(".pick").click()
        check_page(page)
        context.close()
