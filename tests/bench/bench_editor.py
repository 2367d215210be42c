"""Previews and downloads of a photograph of 12 megapixels in the editor, in a worker and without one.

    python tests/bench/bench_editor.py

In Debian's Chromium, on two pages in turn. Prints the time of each step, and the longest for which the page could not react.
"""

import base64
import io
import statistics
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import skimage
from PIL import Image, ImageDraw, ImageFilter
from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.chromium import CHROMIUM, FLAGS

ROOT = Path(__file__).parent.parent.parent
SIZE = 4000, 3000
ROUNDS = 5
PLAIN: dict[str, Any] = {"format": "png"}
SHOP = {
    "format": "jpeg", "fit": "pad", "w": 2000, "h": 2000, "crop": True, "padding": "8%", "shadow": "contact",
    "bg_color": "#ffffff",
}  # fmt: skip
STEPS = {
    "preview, plain": ("preview", PLAIN),
    "preview, for a shop": ("preview", SHOP),
    "preview, tilted, before a blur": ("preview", {"angle": 12, "bg_blur": 40, "shadow": "drop"}),
    "download, PNG": ("export", PLAIN),
    "download, WebP": ("export", {"format": "webp"}),
    "download, JPEG for a shop": ("export", SHOP),
    "download, tilted, before a blur, JPEG": ("export", {"format": "jpeg", "angle": 12, "bg_blur": 40, "shadow": "drop"}),
}

PAGE = b"<!doctype html><title>Bench</title>"
# What pages of the site have from Django.
TEXTS = "window.gettext = (text) => text; window.errorHints = {};"
WITHOUT_WORKERS = "delete globalThis.Worker;"

OPEN = """async ({image, matte}) => {
  const { Picture } = await import('/static/imaging/picture.js');
  const blob = (text, type) => new Blob([Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0))], { type });
  globalThis.picture = new Picture(new File([blob(image, 'image/jpeg')], 'photo', { type: 'image/jpeg' }));
  await picture.read();
  picture.matte = blob(matte, 'image/png');
  const started = performance.now();
  await picture.getLayers();
  return performance.now() - started;
}"""
STEP = """async ([method, options]) => {
  let [last, longest, isOver] = [performance.now(), 0, false];
  const { port1, port2 } = new MessageChannel();
  const look = () => {
    longest = Math.max(longest, performance.now() - last);
    last = performance.now();
    if (!isOver) port2.postMessage(0);
  };
  port1.onmessage = look;
  look();
  const started = performance.now();
  await picture[method](options);
  const took = performance.now() - started;
  look();
  isOver = true;
  return [took, longest];
}"""


def main() -> None:
    with served() as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        pages = {"worker": opened(browser, url, TEXTS), "page": opened(browser, url, TEXTS + WITHOUT_WORKERS)}
        taken: dict[tuple[str, str], list[list[float]]] = {(step, name): [] for step in STEPS for name in pages}
        for _ in range(ROUNDS):
            for step, call in STEPS.items():
                for name, page in pages.items():
                    # As after a pause: a slider that moves gets coarser previews.
                    page.wait_for_timeout(600)
                    taken[step, name].append(page.evaluate(STEP, call))
        browser.close()
    print(
        f"\n{SIZE[0]} x {SIZE[1]}, medians of {ROUNDS}, ms:        in a worker: time  blocked    in the page: time  blocked"
    )
    for step in STEPS:
        figures = [statistics.median(column) for name in pages for column in zip(*taken[step, name], strict=True)]
        print(f"{step:40}{figures[0]:20.0f}{figures[1]:9.0f}{figures[2]:20.0f}{figures[3]:9.0f}")


def opened(browser: Browser, url: str, script: str) -> Page:
    page = browser.new_page()
    page.add_init_script(script)
    page.goto(url)
    image, matte = photograph()
    took = page.evaluate(OPEN, {"image": base64.b64encode(image).decode(), "matte": base64.b64encode(matte).decode()})
    print(f"opened in {took:.0f} ms")
    return page


def photograph() -> tuple[bytes, bytes]:
    """A person with some noise, as JPEG, and a matte with soft and hairy edges, as PNG."""
    image = (
        Image.open(Path(skimage.__file__).parent / "data" / "astronaut.png")
        .convert("RGB")
        .resize(SIZE, Image.Resampling.BICUBIC)
    )
    random = np.random.default_rng(1)
    noisy = np.asarray(image, np.int16) + random.integers(-6, 7, (SIZE[1], SIZE[0], 1), np.int16)
    matte = Image.new("L", SIZE)
    draw = ImageDraw.Draw(matte)
    draw.ellipse((900, 500, 3000, 2900), fill=255)
    for angle in random.uniform(0, 360, 400):
        draw.arc((700, 300, 3200, 3000), angle, angle + 4, fill=200, width=3)
    files = io.BytesIO(), io.BytesIO()
    Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(files[0], "JPEG", quality=90)
    matte.filter(ImageFilter.GaussianBlur(6)).save(files[1], "PNG")
    return files[0].getvalue(), files[1].getvalue()


class Files(SimpleHTTPRequestHandler):
    """An empty page, and the scripts of the editor."""

    def do_GET(self) -> None:
        if self.path != "/":
            super().do_GET()
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(PAGE)

    def translate_path(self, path: str) -> str:
        return str(ROOT / ("config" if path.startswith("/static/vendor/") else "imaging")) + path

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def served(files: type[SimpleHTTPRequestHandler] = Files) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), files)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


if __name__ == "__main__":
    main()
