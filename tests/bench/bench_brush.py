"""How smoothly the editor's brush paints on a photograph of 12 megapixels: in its worker, and in the page.

    python tests/bench/bench_brush.py

Chromium without a GPU, on all cores. A mouse draws a spiral, a move at a time, each as soon as the browser has taken the one
before. Measured: the time from frame to frame in which the brush has drawn, the work on such a frame, the time from frame to
frame of the page, and how long the end of a stroke takes, where its edge is refined. A display of 60 Hz has 16.7 ms a frame;
30 frames a second are 33.3. The photograph is shown as a whole, and with a pixel for each pixel of the window; worker and
page take turns.
"""

import io
import itertools
import math
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw
from playwright.sync_api import Browser, FilePayload, Page, Route, ViewportSize, Worker, sync_playwright
from skimage import data

from tests.bench.results import Results
from tests.browser.chromium import CHROMIUM, FLAGS
from tests.browser.signed_in import make_session, sign_in
from tests.server import ProductServer

SIZE = (4000, 3000)
BRUSHES = (40, 400)
# In place of a brush: the picture is moved.
PAN = 0
ZOOMS = ("whole", "100%")
ROUNDS = 2
MOVES = 240
TURNS = 5
REACH = 250
WINDOW: ViewportSize = {"width": 1440, "height": 900}
GOAL_MS = 1000 / 30
# The page then lacks what the brush needs to draw in a worker, as some browsers do.
WITHOUT_WORKER = "delete HTMLCanvasElement.prototype.transferControlToOffscreen"
COUNT_FRAMES = """() => {
    const ask = self.requestAnimationFrame.bind(self);
    self.frames = [];
    self.requestAnimationFrame = (draw) => ask((time) => {
        const start = performance.now();
        draw(time);
        self.frames.push([start, performance.now() - start]);
    });
}"""
# In the page, next to the brush's own frames where it draws there.
COUNT_TICKS = """() => {
    const ask = self.requestAnimationFrame.bind(self);
    self.ticks = [];
    const tick = (time) => { self.ticks.push(time); ask(tick); };
    ask(tick);
}"""


def main() -> None:
    photo, matte = photograph(), subject()
    results = Results("brush", megapixels=SIZE[0] * SIZE[1] / 1e6, moves=MOVES, rounds=ROUNDS)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        server = ProductServer(Path(folder), {"LOG_LEVEL": "WARNING"}).start()
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        try:
            session = make_session(server, "bench@example.com")
            measured: dict[tuple[str, str, int], list[dict[str, list[float]]]] = {}
            for _, where in itertools.product(range(ROUNDS), ("worker", "page")):
                page = opened(browser, server, session, photo, matte, where)
                for zoom, size in itertools.product(ZOOMS, (*BRUSHES, PAN)):
                    measured.setdefault((where, zoom, size), []).append(stroke(page, zoom, size))
                page.context.close()
            report(measured, results)
        finally:
            browser.close()
            server.stop()


def photograph() -> bytes:
    return encoded(Image.fromarray(data.coffee()).resize(SIZE, Image.Resampling.LANCZOS), "JPEG", quality=90)


def subject() -> bytes:
    matte = Image.new("L", SIZE)
    ImageDraw.Draw(matte).ellipse((600, 300, 3200, 2800), fill=255)
    return encoded(matte, "PNG")


def encoded(image: Image.Image, format: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def opened(browser: Browser, server: ProductServer, session: str, photo: bytes, matte: bytes, where: str) -> Page:
    """The brush, on the photograph. The matte comes from here: the model is not what is measured."""
    page = browser.new_context(viewport=WINDOW, base_url=server.url).new_page()
    if where == "page":
        page.add_init_script(WITHOUT_WORKER)

    def fulfil(route: Route) -> None:
        route.fulfill(body=matte, content_type="image/png", headers={"X-Credits-Charged": "1"})

    page.route("**/rmbg", fulfil)
    sign_in(page, server, session)
    page.goto("/editor")
    page.locator("#choose:enabled").wait_for()
    file: FilePayload = {"name": "photo.jpg", "mimeType": "image/jpeg", "buffer": photo}
    page.locator("#files").set_input_files(file)
    page.locator("#brush-open:enabled").click(timeout=120_000)
    page.locator("#brush:not([data-busy])").wait_for(timeout=120_000)
    page.evaluate(COUNT_TICKS)
    drawing(page).evaluate(COUNT_FRAMES)
    assert (drawing(page) is page) is (where == "page")
    return page


def drawing(page: Page) -> Page | Worker:
    """Where the brush draws."""
    return next((worker for worker in page.workers if "/brush/" in worker.url), page)


def stroke(page: Page, zoom: str, size: int) -> dict[str, list[float]]:
    """The milliseconds of each frame during a stroke, and of its end; a size of PAN moves the picture instead."""
    page.locator("#brush [data-do=fit]").click()
    if zoom != "whole":
        while float(page.locator("#brush [data-zoom]").inner_text().rstrip("%")) < float(zoom.rstrip("%")):
            page.locator("#brush [data-do=larger]").click()
    page.locator(f"#brush [value={'keep' if size == max(BRUSHES) else 'erase'}]").check(force=True)
    choose(page, size or min(BRUSHES))
    box = page.locator("#brush canvas").bounding_box()
    assert box is not None
    points = list(spiral(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2))
    page.mouse.move(*points[0])
    page.mouse.down(button="middle" if size == PAN else "left")
    drawing(page).evaluate("() => { self.frames.length = 0; }")
    page.evaluate("() => { self.ticks.length = 0; }")
    for point in points:
        page.mouse.move(*point)
    frames = drawing(page).evaluate("() => self.frames.splice(0)")
    ticks = page.evaluate("() => self.ticks.splice(0)")
    started = time.perf_counter()
    page.mouse.up(button="middle" if size == PAN else "left")
    # It is answered once the work before it is done.
    drawing(page).evaluate("0")
    end = (time.perf_counter() - started) * 1000
    starts, works = zip(*frames, strict=True)
    return {"frame": intervals(starts), "work": list(works), "page": intervals(ticks), "end": [end]}


def choose(page: Page, size: int) -> None:
    """Set the slider to the brush nearest to `size` pixels."""
    page.evaluate(
        """([size, largest]) => {
            const slider = document.querySelector("#brush [name=size]");
            slider.value = 100 * Math.log(size) / Math.log(largest);
            slider.dispatchEvent(new Event("input", { bubbles: true }));
        }""",
        [size, max(SIZE) / 3],
    )


def spiral(x: float, y: float) -> Iterator[tuple[float, float]]:
    for move in range(MOVES):
        part = move / MOVES
        yield (
            x + REACH * part * math.cos(2 * math.pi * TURNS * part),
            y + REACH * part * math.sin(2 * math.pi * TURNS * part),
        )


def intervals(times: Sequence[float]) -> list[float]:
    return [later - earlier for earlier, later in itertools.pairwise(times)]


def report(measured: dict[tuple[str, str, int], list[dict[str, list[float]]]], results: Results) -> None:
    print(f"{'ms':34}     frame            work        page's frame    end of stroke")
    print(f"{'':34} median    p95   median    p95   median    p95   median  longest   frames")
    for (where, zoom, size), rounds in measured.items():
        figures = {}
        for name in ("frame", "work", "page", "end"):
            values = sorted(value for one in rounds for value in one[name])
            figures[name] = statistics.median(values), values[int(len(values) * 0.95)]
        count = sum(len(one["frame"]) for one in rounds)
        case = f"{where:7} {zoom:6} " + (f"brush of {size:3} px" if size else "moving")
        texts = [f"{median:6.1f} {worst:6.1f}" for median, worst in figures.values()]
        print(f"{case:34} {'  '.join(texts)}   {count:6}" + ("" if figures["frame"][0] <= GOAL_MS else "  too slow"))
        results.add(case, count=count, **{f"{name}_ms": list(values) for name, values in figures.items()})


if __name__ == "__main__":
    main()
