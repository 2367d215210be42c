"""What phones and chats send: the browser converts what it can open, and says what to do about the rest."""

import email
import email.policy
import io
import json
import struct

import numpy as np
import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import FilePayload, Page, Request, Route, expect

from tests.browser.chromium import DESKTOP
from tests.browser.signed_in import make_session
from tests.conftest import encoded
from tests.server import ProductServer

pytestmark = [
    pytest.mark.browser,
    # What is sent does not depend on the window.
    pytest.mark.parametrize("page", [DESKTOP], indirect=True, ids=["desktop"]),
]

SLOW = 60_000
HEIC_ADVICE = "This is a HEIC picture, and this browser cannot open it."
FIRST_FRAME = "The picture is animated: its first frame is used."


def heic() -> bytes:
    """The start of a photograph from an iPhone, which Chromium cannot open."""
    brands = b"heic" + bytes(4) + b"mif1MiHEmiafheic"
    return struct.pack(">I", 8 + len(brands)) + b"ftyp" + brands + bytes(200)


def animation(*colours: str, **options: object) -> bytes:
    frames = [Image.new("RGB", (40, 30), colour).quantize() for colour in colours]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:], **options)
    return buffer.getvalue()


def with_hole(image: Image.Image) -> Image.Image:
    alpha = Image.new("L", image.size, 255)
    ImageDraw.Draw(alpha).rectangle((0, 0, 9, 9), fill=0)
    image.putalpha(alpha)
    return image


def file(name: str, data: bytes) -> FilePayload:
    return {"name": name, "mimeType": "", "buffer": data}


def sent_images(request: Request) -> list[tuple[str, bytes]]:
    """Names and contents of the files in a form."""
    head = f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode()
    form = email.message_from_bytes(head + (request.post_data_buffer or b""), policy=email.policy.HTTP)
    files = [part for part in form.iter_parts() if part.get_filename()]
    return [(str(part.get_filename()), bytes(part.get_payload(decode=True))) for part in files]


def fulfil_with_matte(route: Route) -> None:
    [(_, data)] = sent_images(route.request)
    matte = Image.new("L", Image.open(io.BytesIO(data)).size)
    ImageDraw.Draw(matte).ellipse((5, 5, 30, 25), fill=255)
    route.fulfill(body=encoded(matte), content_type="image/png")


def brightness_difference(one: Image.Image, other: Image.Image) -> float:
    """The mean one, 0-255: both formats store colours coarsely."""
    return float(np.abs(np.asarray(one.convert("L"), float) - np.asarray(other.convert("L"), float)).mean())


@pytest.fixture(scope="module")
def session(server: ProductServer) -> str:
    return make_session(server, "phones@example.com")


@pytest.fixture
def little(photo: bytes) -> Image.Image:
    return Image.open(io.BytesIO(photo)).convert("RGB").resize((80, 60))


def sent_by_the_editor(editor: Page, chosen: FilePayload) -> tuple[str, Image.Image]:
    """The name and the image that the editor sends for a file."""
    editor.route("**/rmbg", fulfil_with_matte)
    with editor.expect_request("**/rmbg", timeout=SLOW) as sent:
        editor.locator("#files").set_input_files(chosen)
    expect(editor.locator("#queue li")).to_contain_text(chosen["name"])
    expect(editor.get_by_role("button", name="Download", exact=True)).to_be_enabled(timeout=SLOW)
    [(name, data)] = sent_images(sent.value)
    return name, Image.open(io.BytesIO(data))


def test_an_avif_photograph_is_sent_as_jpeg(editor: Page, little: Image.Image):
    name, image = sent_by_the_editor(editor, file("IMG 1.avif", encoded(little, "AVIF", quality=90)))
    assert (name, image.format, image.size) == ("IMG 1.jpg", "JPEG", (80, 60))
    assert brightness_difference(image, little) < 4


def test_it_is_sent_upright(editor: Page, little: Image.Image):
    exif = Image.Exif()
    exif[0x0112] = 6
    _, image = sent_by_the_editor(editor, file("a.avif", encoded(little, "AVIF", quality=90, exif=exif)))
    assert image.size == (60, 80)
    assert brightness_difference(image, little.transpose(Image.Transpose.ROTATE_270)) < 4


def test_transparency_is_kept_in_a_png(editor: Page, little: Image.Image):
    name, image = sent_by_the_editor(editor, file("a.avif", encoded(with_hole(little), "AVIF", quality=90)))
    assert (name, image.format, image.mode) == ("a.png", "PNG", "RGBA")
    assert image.getpixel((5, 5))[3] == 0
    assert image.getpixel((40, 40))[3] == 255


def test_a_gif_is_sent_as_png_whatever_it_is_called(editor: Page, little: Image.Image):
    name, image = sent_by_the_editor(editor, file("chat.jpg", encoded(little.quantize(), "GIF")))
    assert (name, image.format, image.size) == ("chat.png", "PNG", (80, 60))
    assert np.abs(np.asarray(image.convert("RGB"), int) - np.asarray(little.quantize().convert("RGB"), int)).max() == 0
    expect(editor.locator("#notice")).to_be_hidden()


def test_of_an_animation_the_first_frame_is_sent_and_the_editor_says_so(editor: Page):
    _, image = sent_by_the_editor(editor, file("wave.gif", animation("red", "blue", "lime")))
    assert image.convert("RGB").getpixel((20, 15)) == (255, 0, 0)
    expect(editor.locator("#notice")).to_have_text(f"wave.gif: {FIRST_FRAME}")


@pytest.mark.parametrize("name", ["IMG_0001.HEIC", "IMG_0001.jpg"])
def test_a_heic_photograph_that_the_browser_cannot_open_gets_advice_and_is_not_sent(editor: Page, name: str):
    requested: list[str] = []
    editor.on("request", lambda request: requested.append(request.url))
    editor.locator("#files").set_input_files(file(name, heic()))
    expect(editor.locator("#stage")).to_contain_text(HEIC_ADVICE)
    expect(editor.locator("#stage")).to_contain_text("Settings → Camera → Formats → Most Compatible")
    assert not [url for url in requested if url.endswith("/rmbg")]


def test_a_jpeg_that_is_called_heic_is_sent_as_it_is_under_a_name_that_the_api_allows(editor: Page, little: Image.Image):
    photo = encoded(little, "JPEG")
    editor.route("**/rmbg", fulfil_with_matte)
    with editor.expect_request("**/rmbg", timeout=SLOW) as sent:
        editor.locator("#files").set_input_files(file("IMG_2.HEIC", photo))
    assert sent_images(sent.value) == [("IMG_2.jpg", photo)]
    expect(editor.get_by_role("button", name="Download", exact=True)).to_be_enabled(timeout=SLOW)


def test_a_batch_gets_converted_files_and_leaves_out_what_cannot_be_opened(editor: Page, little: Image.Image):
    editor.get_by_role("button", name="Send a batch").click()
    files = [file("a.avif", encoded(little, "AVIF")), file("b.heic", heic()), file("c.gif", animation("red", "blue"))]
    editor.locator("#batch-files").set_input_files([*files, file("d.jpg", encoded(little, "JPEG"))])
    problem = editor.locator("#batch-problem")
    expect(problem).to_contain_text(f"1 picture was left out: b.heic. {HEIC_ADVICE}")
    expect(problem).to_contain_text("1 picture is animated: its first frame is used.")
    expect(editor.locator("#batch-what")).to_contain_text("3 pictures")
    answer = json.dumps({"id": "b1"})
    editor.route("**/api/batches", lambda route: route.fulfill(status=202, body=answer, content_type="application/json"))
    editor.route("**/batches/b1", lambda route: route.fulfill(body="sent", content_type="text/plain"))
    with editor.expect_request("**/api/batches", timeout=SLOW) as sent:
        editor.get_by_role("button", name="Send the batch").click()
    names = [(name, Image.open(io.BytesIO(data)).format) for name, data in sent_images(sent.value)]
    assert names == [("a.jpg", "JPEG"), ("c.png", "PNG"), ("d.jpg", "JPEG")]
    editor.wait_for_url("**/batches/b1")


@pytest.mark.parametrize("state", ["waiting", "failed"])
def test_converted_pictures_leave_the_editor_with_their_batch(editor: Page, little: Image.Image, state: str):
    """Those that failed were converted by the list, those that wait are converted by the dialog."""
    editor.route("**/rmbg", lambda route: route.fulfill(status=400, body="{}") if state == "failed" else None)
    photo = encoded(little, "AVIF")
    editor.locator("#files").set_input_files([file(f"{number}.avif", photo) for number in range(4)])
    rows = editor.locator(f"#queue li[data-state={state}]")
    expect(rows).to_have_count(4 if state == "failed" else 2, timeout=SLOW)
    editor.get_by_role("button", name="Send as a batch").click()
    editor.route("**/api/batches", lambda route: route.fulfill(status=202, body='{"id": "b2"}'))
    # Without content the browser stays on the page.
    editor.route("**/batches/b2", lambda route: route.fulfill(status=204))
    with editor.expect_request("**/batches/b2", timeout=SLOW):
        editor.get_by_role("button", name="Send the batch").click()
    expect(rows).to_have_count(0)
    editor.unroute_all()


def test_the_front_page_converts_too(page: Page):
    page.goto("/")
    page.route("**/rmbg", lambda route: route.fulfill(body=encoded(Image.new("RGBA", (40, 30), "red"), "WEBP")))
    with page.expect_request("**/rmbg", timeout=SLOW) as sent:
        page.locator("#file").set_input_files(file("wave.gif", animation("red", "blue")))
    [(name, data)] = sent_images(sent.value)
    assert (name, Image.open(io.BytesIO(data)).format) == ("wave.png", "PNG")
    expect(page.locator("#status")).to_contain_text(f"Done. Drag the line to compare. {FIRST_FRAME}")
    page.locator("#file").set_input_files(file("IMG_3.jpg", heic()))
    expect(page.locator("#status")).to_contain_text(HEIC_ADVICE)


@pytest.mark.parametrize(("path", "fields"), [("/", ["#file"]), ("/editor", ["#files", "#batch-files"])])
def test_file_dialogs_offer_these_formats(editor: Page, path: str, fields: list[str]):
    editor.goto(path)
    for name in fields:
        accepted = str(editor.locator(name).get_attribute("accept")).split(",")
        assert {"image/heic", "image/heif", "image/avif", "image/gif", ".heic"} <= set(accepted)


FORMATS = """async (files) => {
  const { sendable } = await import('/static/imaging/formats.js');
  const answers = [];
  for (const [name, bytes] of files) {
    const file = new File([new Uint8Array(bytes)], name);
    const { file: sent, note } = await sendable(file);
    answers.push([sent.name, sent === file, note]);
  }
  return answers;
}"""


def test_all_that_the_api_takes_stays_the_same_file(page: Page, little: Image.Image):
    page.goto("/")
    known = [
        ("a.jpg", "JPEG"), ("b.JPEG", "JPEG"), ("c.png", "PNG"), ("d.webp", "WEBP"), ("e.bmp", "BMP"), ("f.jfif", "JPEG"),
        ("blob", "PNG"),
    ]  # fmt: skip
    files = [[name, list(encoded(little, format))] for name, format in known]
    # What is unknown, empty, or cut off is for the reader of images to refuse.
    files += [
        ["x.txt", list(b"no picture")],
        ["y.png", []],
        ["z.mp4", list(b"\0\0\0\x18ftypisom\0\0\0\0isommp42")],
        ["h.gif", []],
    ]
    assert page.evaluate(FORMATS, files) == [[name, True, ""] for name, _ in files]


@pytest.mark.parametrize("frames", [1, 2, 5])
def test_a_gif_is_called_animated_from_two_frames_on(page: Page, frames: int):
    page.goto("/")
    data = animation(*["red", "lime", "blue", "white", "black"][:frames], comment=b"a comment" * 50)
    [[name, is_same, note]] = page.evaluate(FORMATS, [["a.gif", list(data)]])
    assert (name, is_same, note) == ("a.png", False, FIRST_FRAME if frames > 1 else "")
