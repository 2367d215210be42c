"""The editor's choice of a model, where more than one is served."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Request, expect

from imaging.core.weights.files import SERVING_RECIPE
from imaging.core.weights.registry import NATIVE
from tests.browser.chromium import PHONE
from tests.browser.page_checks import check_page
from tests.browser.signed_in import make_session, sign_in
from tests.browser.test_editor import add, download, file, fulfil_with_matte, little, open_panel, refuse, row, sent
from tests.browser.windows import in_one_window
from tests.server import ProductServer
from tests.services.deployment import Deployment

__all__ = ["little", "sent"]

pytestmark = pytest.mark.browser

MODELS = ("u2net", "u2netp")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProductServer]:
    """The product with two models switched on; the tests answer in their place."""
    folder = tmp_path_factory.mktemp("models")
    for name in MODELS:
        weights = folder / "home" / "models" / name
        weights.mkdir(parents=True)
        (weights / f"{name}-serving-{NATIVE[name].version}-r{SERVING_RECIPE}.onnx").touch()
    running = Deployment(folder, IMAGING_MODELS=",".join(MODELS), U2NET_HOME=str(folder / "home"))
    yield running.start()
    running.stop()


@pytest.fixture(scope="module")
def session(server: ProductServer) -> str:
    return make_session(server, "models@example.com")


def model_of(request: Request) -> str:
    """The field `model` of a request, "" without one."""
    _, found, rest = (request.post_data_buffer or b"").partition(b'name="model"\r\n\r\n')
    return rest.partition(b"\r\n")[0].decode() if found else ""


def test_another_model_runs_again_only_when_asked_and_names_its_price(editor: Page, sent: list[Request], little: bytes):
    add(editor, file("one.jpg", little), file("two.jpg", little))
    expect(editor.get_by_role("button", name="Download all (2)")).to_be_visible()
    open_panel(editor, "model")
    choice, note = editor.get_by_label("Model"), editor.locator("#again-note")
    assert choice.locator("option").all_text_contents() == ["u2net (medium speed)", "u2netp (fast)"]
    expect(note).to_be_hidden()
    choice.select_option(label="u2netp (fast)")
    expect(note).to_contain_text("2 pictures were cut out with another model.")
    expect(note.get_by_role("button")).to_have_text("Cut them out again for 2 credits")
    expect(editor.locator("#announcer")).to_contain_text("again for 2 credits")
    assert [model_of(request) for request in sent] == ["", ""], "nothing is sent before it is asked for"
    choice.select_option(index=0)
    expect(note).to_be_hidden()
    editor.get_by_label("Only for this picture").check()
    choice.select_option("u2netp")
    note.get_by_role("button", name="Cut it out again for 1 credit", exact=True).click()
    expect(note).to_be_hidden()
    expect(choice).to_be_focused()
    expect(row(editor, "one.jpg")).to_contain_text("Done")
    assert [model_of(request) for request in sent] == ["", "", "u2netp"]
    assert len({request.headers["idempotency-key"] for request in sent}) == 3, "another model is another request"
    row(editor, "two.jpg").locator(".pick").click()
    expect(choice).to_have_value("")
    assert editor.evaluate("document.documentElement.scrollWidth <= innerWidth")


@in_one_window
def test_new_pictures_get_the_chosen_model_and_a_reload_keeps_it(editor: Page, sent: list[Request], little: bytes):
    add(editor, file("one.jpg", little))
    expect(row(editor, "one.jpg")).to_contain_text("Done")
    open_panel(editor, "model")
    editor.get_by_label("Model").select_option("u2netp")
    add(editor, file("two.jpg", little))
    expect(row(editor, "two.jpg")).to_contain_text("Done")
    assert [model_of(request) for request in sent] == ["", "u2netp"]
    expect(editor.locator("#again-note")).to_contain_text("1 picture was cut out with another model.")
    editor.get_by_role("button", name="Send as a batch").click()
    expect(editor.locator("#batch-other")).to_have_text("From the settings: model u2netp.")
    editor.keyboard.press("Escape")
    editor.on("dialog", lambda dialog: dialog.accept())
    editor.reload()
    expect(row(editor, "two.jpg")).to_contain_text("Done")
    add(editor, file("three.jpg", little))
    expect(row(editor, "three.jpg")).to_contain_text("Done")
    open_panel(editor, "model")
    expect(editor.get_by_label("Model")).to_have_value("u2netp")
    assert [model_of(request) for request in sent] == ["", "u2netp", "u2netp"]


@in_one_window
def test_a_result_stays_when_another_model_fails(editor: Page, sent: list[Request], little: bytes):
    add(editor, file("one.jpg", little))
    expect(row(editor, "one.jpg")).to_contain_text("Done")
    editor.unroute_all()
    editor.route("**/rmbg", lambda route: refuse(route, 429, "monthly_limit_reached"))
    open_panel(editor, "model")
    editor.get_by_label("Model").select_option("u2netp")
    editor.locator("#again").click()
    expect(editor.locator("#notice")).to_contain_text("You have no credits left.")
    expect(row(editor, "one.jpg")).to_contain_text("Done")
    assert download(editor, "Download")[0] == "one-no-bg.webp"
    expect(editor.locator("#again-note")).to_be_visible()


def test_axe_finds_nothing_in_arabic(browser: Browser, server: ProductServer, little: bytes):
    context = browser.new_context(viewport=PHONE, base_url=server.url, color_scheme="dark")
    page = context.new_page()
    sign_in(page, server, make_session(server, "models-ar@example.com", language="ar"))
    page.route("**/rmbg", fulfil_with_matte)
    page.goto("/editor")
    add(page, file("one.jpg", little))
    expect(page.locator("li[data-state=done]")).to_have_count(1)
    open_panel(page, "model")
    page.locator("[name=model]").select_option("u2netp")
    expect(page.locator("#again")).to_be_visible()
    check_page(page)
    context.close()
