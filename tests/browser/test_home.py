"""The front page: what a visitor without an account can try there."""

import sqlite3
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, Response, expect

from tests.browser.windows import in_one_window
from tests.server import ProductServer

pytestmark = pytest.mark.browser

# The machine may be busy with other tests.
SLOW = 60_000


def set_used_today(server: ProductServer, used: int) -> None:
    """Set the number of images used by every known address."""
    with sqlite3.connect(server.folder / "db.sqlite3", timeout=20) as database:
        database.execute("UPDATE billing_anonymoususage SET used = ?", [used])
    database.close()


def test_a_sample_becomes_a_cutout_and_then_the_daily_limit_is_explained(page: Page, server: ProductServer, tmp_path: Path):
    set_used_today(server, 0)
    page.goto("/")
    page.get_by_role("button", name="Sample: a cup of coffee").click()
    page.get_by_role("button", name="Try it with this picture").click()
    expect(page.locator("#status")).to_have_text("Done. Drag the line to compare.", timeout=SLOW)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == "coffee-no-bg.webp"
    download.value.save_as(tmp_path / "coffee.webp")
    cutout = Image.open(tmp_path / "coffee.webp")
    assert (cutout.format, cutout.size, cutout.mode) == ("WEBP", (600, 400), "RGBA")
    assert cutout.getchannel("A").getextrema() == (0, 255)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    explains_the_daily_limit(page, server)


def explains_the_daily_limit(page: Page, server: ProductServer) -> None:
    set_used_today(server, 10_000)
    page.get_by_role("button", name="Sample: a cup of coffee").click()
    with page.expect_response("**/rmbg") as refused:
        page.get_by_role("button", name="Try it with this picture").click()
    status = page.locator("#status")
    expect(status).to_contain_text("You have used today's free pictures without an account. Sign up for more")
    expect(status.get_by_role("link", name="Sign up for free")).to_have_attribute("href", "/accounts/signup/")
    expect(status.locator("code")).to_have_text(refused.value.headers["x-request-id"])
    expect(page.get_by_role("link", name="Download")).to_be_hidden()
    set_used_today(server, 0)


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("Sample: an astronaut", "astronaut"),
        ("Sample: a cup of coffee", "coffee"),
        ("Sample: a motorcycle", "motorcycle"),
        ("Sample: a moose", "moose"),
    ],
)
def test_one_click_shows_a_sample_before_and_after_without_a_request(page: Page, label: str, name: str):
    page.goto("/")
    sent = []
    page.on("request", lambda request: sent.append(request.url))
    button = page.get_by_role("button", name=label)
    button.click()
    expect(button).to_have_attribute("aria-pressed", "true")
    expect(page.locator(".picker [aria-pressed=true]")).to_have_count(1)
    for role, part in (("before", f"/{name}-"), ("after", f"/{name}-no-bg-")):
        image = page.locator(f"#stage [data-{role}]").first
        image.evaluate("image => image.decode()")
        assert part in image.evaluate("image => image.currentSrc")
    expect(page.get_by_role("slider")).to_have_value("50")
    assert not [url for url in sent if url.endswith("/rmbg")]


@in_one_window
def test_samples_do_not_move_the_page(page: Page):
    page.goto("/")
    heights = set()
    for button in page.locator(".picker button").all():
        button.click()
        page.locator("#stage [data-after]").first.evaluate("image => image.decode()")
        heights.add(page.locator("#stage").evaluate("stage => stage.getBoundingClientRect().height"))
    assert len(heights) == 1


@in_one_window
def test_a_sample_ends_the_work_on_another_picture(page: Page, small_png: bytes):
    page.goto("/")
    page.route("**/rmbg", lambda route: None)
    page.evaluate(PASTE, list(small_png))
    expect(page.locator("#status")).to_have_text("Uploading …")
    page.get_by_role("button", name="Sample: an astronaut").click()
    expect(page.locator("#status")).to_have_text("Drag the line to compare.")
    expect(page.get_by_role("button", name="Cancel")).to_be_hidden()
    expect(page.get_by_role("button", name="Try it with this picture")).to_be_visible()
    page.unroute_all()


@in_one_window
def test_an_answer_to_a_question_opens(page: Page):
    page.goto("/")
    page.get_by_text("What happens to my pictures?").click()
    expect(page.get_by_text("Pictures and cutouts are not looked at, and train no model.")).to_be_visible()


@in_one_window
def test_a_file_that_is_no_picture_is_refused_without_a_request(page: Page):
    page.goto("/")
    requested = []
    page.on("request", lambda request: requested.append(request.url))
    page.locator("#file").set_input_files({"name": "notes.png", "mimeType": "image/png", "buffer": b"no picture"})
    expect(page.locator("#status")).to_have_text(
        "This file is not a picture that we can read. Choose a JPEG, PNG, WebP or BMP picture."
    )
    assert not [url for url in requested if url.endswith("/rmbg")]


@in_one_window
@pytest.mark.parametrize("name", ["photo.jfif", "photo.JPE", "photo.pjpeg", "photo.pjp"])
def test_a_jpeg_of_an_uncommon_name_is_sent_under_a_common_one(page: Page, photo: bytes, name: str):
    """Windows saves JPEGs under these names; the API, by its contract, refuses them."""
    page.goto("/")
    page.route("**/rmbg", lambda route: None)
    assert name[5:].lower() in str(page.locator("#file").get_attribute("accept")).split(",")
    with page.expect_request("**/rmbg") as sent:
        page.locator("#file").set_input_files({"name": name, "mimeType": "image/jpeg", "buffer": photo})
    assert b'name="image"; filename="photo.jpg"' in (sent.value.post_data_buffer or b"")
    page.unroute_all()


@in_one_window
def test_a_pasted_picture_is_taken_and_can_be_cancelled(page: Page, small_png: bytes):
    page.goto("/")
    page.route("**/rmbg", lambda route: None)
    page.evaluate(PASTE, list(small_png))
    expect(page.locator("#status")).to_have_text("Uploading …")
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#status")).to_have_text("Cancelled. Choose another picture.")
    page.unroute_all()


PASTE = """(bytes) => {
  const clipboardData = new DataTransfer();
  clipboardData.items.add(new File([new Uint8Array(bytes)], 'pasted.png', { type: 'image/png' }));
  document.dispatchEvent(new ClipboardEvent('paste', { clipboardData }));
}"""


@in_one_window
def test_the_keyboard_moves_the_line_between_before_and_after(page: Page):
    page.goto("/")
    slider = page.get_by_role("slider")
    slider.focus()
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    expect(slider).to_have_value("55")
    assert page.locator("image-compare").evaluate("element => element.style.getPropertyValue('--split')") == "55%"


@in_one_window
def test_the_page_is_light(page: Page):
    answers: list[Response] = []
    page.on("response", lambda answer: answers.append(answer) if is_code(answer.url) else None)
    page.goto("/", wait_until="networkidle")
    assert len(answers) >= 8
    assert sum(len(answer.body()) for answer in answers) < 150_000, "even before compression"


def is_code(url: str) -> bool:
    return not url.endswith((".webp", ".jpg", ".svg"))
