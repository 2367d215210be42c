"""`clients/rembg.js` in Chromium, from a page of another origin, against the running product."""

import re
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.server import ROOT, ProductServer, free_port

CLIENT = ROOT / "clients/rembg.js"
PHOTO = ROOT / "imaging/static/imaging/samples/astronaut.jpg"
LARGE_BYTES = 3_000_000
# Slow enough for several events, at one every 50 ms.
UPLOAD_BYTES_PER_SECOND = 5_000_000

pytestmark = pytest.mark.browser

# Available to every script: the client, the photograph, the same at the end of a long file, and calls that fail.
PRELUDE = """
const { rembg, membershipUsage, RembgError } = await import("/dist/browser.js");
const photo = await (await fetch("/photo.jpg")).blob();
const large = new File([photo, new Uint8Array(SIZE)], "large.jpg", { type: "image/jpeg" });
const own = { baseUrl: "URL", apiKey: "KEY", retries: 0, options: { w: 32 } };
const failure = async (call) => {
  try { await call; } catch (error) {
    return { ours: error instanceof RembgError, ...error, message: error.message };
  }
};
"""


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves an empty page, the client's folder, and the photograph."""

    def do_GET(self) -> None:
        if self.path != "/":
            super().do_GET()
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><link rel=icon href=data:,>")

    def translate_path(self, path: str) -> str:
        return str(PHOTO) if path == "/photo.jpg" else super().translate_path(path)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def other_origin() -> Iterator[str]:
    """A site other than the product's."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(CLIENT))) as site:
        thread = Thread(target=site.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{site.server_port}"
        site.shutdown()
        thread.join()


@pytest.fixture
def script(browser: Browser, server: ProductServer, server_key: str, other_origin: str):
    """Runs JavaScript on a page of the other origin, with slow uploads, and returns its result."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(other_origin)
    throttle = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": UPLOAD_BYTES_PER_SECOND}
    context.new_cdp_session(page).send("Network.emulateNetworkConditions", throttle)
    prelude = PRELUDE.replace("URL", server.url).replace("KEY", server_key).replace("SIZE", str(LARGE_BYTES))
    yield lambda body: page.evaluate(f"async () => {{ {prelude} {body} }}")
    context.close()


def test_a_file_with_progress_both_ways(script):
    seen = script("""
      const sent = [], received = [];
      const result = await rembg({
        ...own, inputImage: large, options: {},
        onUploadProgress: (event) => sent.push(event), onDownloadProgress: (event) => received.push(event),
      });
      const image = new Image();
      image.src = result.url;
      await image.decode();
      await result.cleanup();
      const revoked = await fetch(result.url).then(() => false, () => true);
      const { blob, url, cleanup, ...facts } = result;
      return { sent, received, facts, type: blob.type, size: blob.size, natural: image.naturalWidth, revoked };
    """)
    loaded = [event["loaded"] for event in seen["sent"]]
    assert len(loaded) >= 5
    assert loaded == sorted(set(loaded))
    assert loaded[-1] > LARGE_BYTES
    assert sum(event["bytes"] for event in seen["sent"]) == loaded[-1]
    assert all(event["upload"] and 0 < event["progress"] <= 1 for event in seen["sent"])
    assert seen["sent"][-1]["progress"] == seen["received"][-1]["progress"] == 1
    assert seen["received"][-1]["download"] is True
    assert seen["received"][-1]["total"] == seen["size"]
    assert seen["facts"].pop("requestId")
    assert seen["facts"].pop("model").startswith("u2net@8d10d2f3bb75; engine=")
    assert 0 <= seen["facts"].pop("confidence") <= 1
    assert seen["facts"].pop("foreground")["width"] > 0
    assert seen["facts"] == {"width": 512, "height": 512, "creditsCharged": 1}
    assert (seen["type"], seen["natural"], seen["revoked"]) == ("image/webp", 512, True)


def test_every_other_input(script):
    broken, *whole, (start, charged) = script("""
      const bytes = await photo.arrayBuffer();
      const binary = Array.from(new Uint8Array(bytes), (byte) => String.fromCharCode(byte)).join("");
      const dataUrl = `data:image/jpeg;base64,${btoa(binary)}`;
      const inputs = [bytes.slice(9), photo, bytes, new Uint8Array(bytes), { base64: btoa(binary) }, { base64: dataUrl }];
      // Where the picture is good, the one problem left is the size: nothing has to be cut out to see it.
      const answers = [];
      for (const inputImage of inputs) {
        answers.push((await failure(rembg({ ...own, inputImage, options: { w: -5 } }))).message);
      }
      const options = { format: "png", returnBase64: true };
      const result = await rembg({ ...own, inputImage: { base64: dataUrl }, options });
      return [...answers, [result.base64Image.slice(0, 22), result.creditsCharged]];
    """)
    assert broken == "Multiple validation errors"
    assert whole == ["'w' must be at least 1, got: -5"] * 5
    assert (start, charged) == ("data:image/png;base64,", 1)


def test_errors_carry_all_that_is_known(script):
    many, wrong_key, unreachable, path, no_base64 = script(f"""
      return [
        await failure(rembg({{ ...own, inputImage: photo, options: {{ w: "abc", angle: 500 }} }})),
        await failure(rembg({{ ...own, inputImage: photo, apiKey: "wrong" }})),
        await failure(rembg({{ ...own, inputImage: photo, baseUrl: "http://127.0.0.1:{free_port()}" }})),
        await failure(rembg({{ ...own, inputImage: "photo.jpg" }})),
        await failure(rembg({{ ...own, inputImage: {{ base64: "!" }} }})),
      ];
    """)
    assert all(error["ours"] for error in (many, wrong_key, unreachable, path, no_base64))
    assert (many["status"], many["code"], many["message"]) == (400, "validation_error", "Multiple validation errors")
    assert [problem["field"] for problem in many["details"]] == ["w", "angle"]
    assert many["requestId"]
    assert (wrong_key["status"], wrong_key["code"]) == (401, "invalid_api_key")
    assert (unreachable["status"], unreachable["code"]) == (0, "network_error")
    assert path["code"] == no_base64["code"] == "invalid_input"


def test_cancelling_and_the_time_limit_end_an_upload_that_costs_nothing(script):
    seen = script("""
      const before = await membershipUsage({ ...own, includeBillingCycle: true });
      const controller = new AbortController();
      let furthest = 0;
      const onUploadProgress = ({ progress }) => { furthest = progress; controller.abort(); };
      const cancelled = await failure(rembg({ ...own, inputImage: large, signal: controller.signal, onUploadProgress }));
      const late = await failure(rembg({ ...own, inputImage: large, timeout: 200 }));
      // By the time that this one is done, the server has noticed that those are gone.
      await rembg({ ...own, inputImage: photo });
      const after = await membershipUsage(own);
      return { codes: [cancelled.code, late.code], furthest, charged: after.api_usage - before.api_usage,
               cycle: before.billingCycle.usedIncludedCredits, used: before.api_usage };
    """)
    assert seen["codes"] == ["aborted", "timeout"]
    assert 0 < seen["furthest"] < 1
    assert seen["charged"] == 1
    assert seen["cycle"] == seen["used"]


def test_the_example_of_the_readme(browser: Browser, server: ProductServer, server_key: str):
    """On a page of the product's own origin, like the example, but with a key."""
    found = re.search(r"^```html\n(.*?)^```", (CLIENT / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    assert found
    example = found[1].replace("await rembg({", f"await rembg({{ apiKey: '{server_key}',")
    assert server_key in example

    def serve(route: Route) -> None:
        name = Path(route.request.url).name
        if name == "browser.js":
            route.fulfill(path=CLIENT / "dist/browser.js")
        else:
            route.fulfill(content_type="text/html", body=f"<!doctype html>{example}")

    page: Page = browser.new_page()
    page.route(f"{server.url}/example/**", serve)
    page.goto(f"{server.url}/example/page.html")
    page.locator("input").set_input_files(PHOTO)
    expect(page.locator("img")).to_have_attribute("src", re.compile("^blob:"), timeout=30_000)
    expect(page.locator("img")).to_have_js_property("naturalWidth", 512)
    assert page.locator("progress").evaluate("element => element.value") == 1
    page.close()
