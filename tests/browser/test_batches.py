"""From the editor to a batch, its progress and its zip; and what the dialog shows before anything is sent."""

import io
import re
import zipfile
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import FilePayload, Page, Route, expect

from tests.browser.chromium import DESKTOP
from tests.browser.page_checks import check_page
from tests.browser.signed_in import make_session
from tests.browser.test_editor import SLOW, add, file, left, open_panel, refuse, row
from tests.conftest import encoded
from tests.server import ProductServer

pytestmark = pytest.mark.browser

ONLY_DESKTOP = pytest.mark.parametrize("page", [DESKTOP], indirect=True, ids=["desktop"])
GOOD = 10


@pytest.fixture(scope="module")
def session(server: ProductServer) -> str:
    return make_session(server, "batches@example.com")


@pytest.fixture
def many(page: Page) -> list[FilePayload]:
    """Ten images and one file that is none: more than the editor takes without asking.

    The model remembers most of them. The last three are others in each window, so that the page is there before they end.
    """
    green = 200 if page.viewport_size == DESKTOP else 100
    colours = [(0, 128, 128)] * (GOOD - 3) + [(20 * number, green, 0) for number in range(3)]
    sizes = [(43 if number == 3 else 40, 30) for number in range(GOOD)]
    good = [encoded(Image.new("RGB", size, colour), "JPEG") for size, colour in zip(sizes, colours, strict=True)]
    return [*(file(f"chair-{number}.jpg", data) for number, data in enumerate(good)), file("notes.png", b"no picture")]


def test_from_the_editor_to_the_zip(editor: Page, server: ProductServer, session: str, many: list[FilePayload]):
    before = left(server, session)
    add(editor, *many)
    dialog = editor.get_by_role("dialog", name="Send a batch")
    expect(dialog.locator("#batch-what")).to_contain_text("11 pictures")
    expect(dialog).to_contain_text(
        f"11 credits are set aside, and each is spent when its picture is done. You have {before}"
    )
    check_page(editor)
    assert not editor.locator("#queue li").count(), "nothing has begun"
    dialog.get_by_label("Format").select_option("png")
    dialog.get_by_label("Background").select_option("White")
    dialog.get_by_role("button", name="Send the batch").click()
    expect(editor).to_have_url(re.compile(r"/batches/[0-9a-f-]{36}$"), timeout=SLOW)
    expect(editor.locator("#batch-figures")).to_contain_text("failed pictures cost nothing", timeout=SLOW)
    expect(editor.locator("#item-10")).to_contain_text("File does not appear to be a valid image")
    expect(editor.locator("[data-said]")).to_have_text("The batch has ended.")
    assert left(server, session) == before - GOOD
    check_page(editor)
    holds_all(*download(editor, "Download all as zip"))
    name, data = download(editor, "Download chair-3.jpg")
    assert name == "chair-3.png"
    assert Image.open(io.BytesIO(data)).size == (43, 30)
    editor.goto("/batches")
    expect(editor.get_by_role("table", name="Your batches")).to_contain_text("11 of 11 pictures · 1 failed")


def download(page: Page, link: str) -> tuple[str, bytes]:
    with page.expect_download(timeout=SLOW) as started:
        page.get_by_role("link", name=link, exact=True).click()
    return started.value.suggested_filename, Path(started.value.path()).read_bytes()


def holds_all(name: str, data: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.namelist() == [f"chair-{number}.png" for number in range(GOOD)]
        assert Image.open(archive.open("chair-0.png")).convert("RGB").getpixel((0, 0)) == (255, 255, 255)
    assert re.fullmatch(r"batch-[0-9a-f-]{36}\.zip", name)


@ONLY_DESKTOP
def test_a_page_follows_its_batch_by_itself_and_cancels_the_rest(
    editor: Page, many: list[FilePayload], server, session: str
):
    before = left(server, session)
    editor.get_by_role("button", name="Send a batch").click()
    dialog = editor.get_by_role("dialog")
    expect(dialog.get_by_role("button", name="Send the batch")).to_be_disabled()
    expect(dialog.locator("#batch-what")).to_have_text("Choose pictures or a zip.")
    # Each is another image, so that each takes the model its time.
    large = [encoded(Image.effect_noise((300, 300), 90), "JPEG") for _ in range(12)]
    editor.locator("#batch-files").set_input_files([file(f"large-{n}.jpg", data) for n, data in enumerate(large)])
    dialog.get_by_role("button", name="Send the batch").click()
    expect(editor.locator("#item-0")).to_contain_text("Done", timeout=SLOW)
    editor.get_by_role("button", name="Cancel the rest").click()
    expect(editor.get_by_role("status").filter(has_text="Cancelled. Pictures that were not done")).to_be_visible()
    done = int(editor.locator("#batch-figures .tile:nth-child(2) dd").inner_text())
    assert 1 <= done < 12
    assert left(server, session) == before - done


@ONLY_DESKTOP
def test_they_may_be_opened_in_the_editor_instead(editor: Page, many: list[FilePayload]):
    editor.route("**/rmbg", lambda route: None)
    add(editor, *many)
    editor.get_by_role("button", name="Open them in the editor").click()
    expect(editor.get_by_role("dialog")).to_be_hidden()
    expect(editor.locator("#queue li")).to_have_count(11)
    expect(row(editor, "chair-5.jpg")).to_contain_text("Waiting")
    # Waiting images can still be sent, with the current settings; those being sent cannot.
    settings = editor.get_by_role("form", name="Settings")
    open_panel(editor, "canvas")
    settings.get_by_label("Width").fill("200")
    settings.get_by_label("Yellow").check()
    editor.get_by_role("button", name="Send as a batch").click()
    dialog = editor.get_by_role("dialog")
    expect(dialog.locator("#batch-what")).to_contain_text("9 pictures")
    expect(dialog).to_contain_text("From the settings: 200 pixels wide.")
    expect(dialog.get_by_label("Background")).to_have_value("#f2c14e")
    editor.keyboard.press("Escape")
    expect(dialog).to_be_hidden()


@ONLY_DESKTOP
def test_too_many_too_large_and_more_than_the_credits(editor: Page, many: list[FilePayload]):
    editor.get_by_role("button", name="Send a batch").click()
    dialog, chooser = editor.get_by_role("dialog"), editor.locator("#batch-files")
    chooser.set_input_files([file(f"{number}.png", b"x") for number in range(60)])
    expect(dialog.locator("#batch-limit")).to_have_text(
        "You do not have enough credits. Send fewer pictures, or buy credits."
    )
    expect(dialog.get_by_role("button", name="Send the batch")).to_be_disabled()
    chooser.set_input_files([file(f"{number}.png", b"x") for number in range(450)])
    expect(dialog.locator("#batch-limit")).to_contain_text("A batch has at most 500 pictures.")
    check_page(editor)


@ONLY_DESKTOP
def test_an_upload_is_stopped_and_a_refusal_is_explained(editor: Page, many: list[FilePayload]):
    keys = []

    def hold(route: Route) -> None:
        keys.append(route.request.headers["idempotency-key"])

    editor.route("**/api/batches", hold)
    add(editor, *many)
    dialog = editor.get_by_role("dialog")
    send = dialog.get_by_role("button", name="Send the batch")
    send.click()
    expect(dialog.locator("#batch-state")).to_contain_text("Upload")
    dialog.get_by_role("button", name="Stop the upload").click()
    expect(send).to_be_enabled()
    editor.unroute_all()

    def refuse_it(route: Route) -> None:
        hold(route)
        refuse(route, 429, "too_many_batches")

    editor.route("**/api/batches", refuse_it)
    send.click()
    expect(dialog.get_by_role("alert")).to_contain_text("You have as many batches in progress as an account may.")
    assert dialog.get_by_role("alert").get_by_role("link").get_attribute("href") == "/batches"
    assert len(keys) == 2
    assert keys[0] == keys[1], "the server can tell that it is the same batch"


def test_a_stranger_is_asked_to_log_in(page: Page):
    for path in ("/batches", "/editor#batch"):
        page.goto(path)
        expect(page).to_have_url(re.compile("/accounts/login/"))
