"""JPEG encoders in a Chromium worker: the editor's, jpeg-js, mozjpeg in WebAssembly (@jsquash/jpeg), and the browser's.

    python -m tests.bench.bench_jpeg [--rounds 7]

Prints for each, at 12 megapixels and quality 90: the median time and processor time, the most memory that loading it and the
first image add, the bytes that a browser downloads for it (gzip), and those of the file. Then the mean difference, of 255,
from the API's file of the same pixels: median and worst of five photographs. Encoders take turns, each in its own browser.
Needs Linux, Debian's Chromium, and `make assets`, which installs the libraries.
"""

import argparse
import base64
import gzip
import io
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import skimage
from PIL import Image
from playwright.sync_api import Playwright, Worker, sync_playwright

from imaging.core.codecs.encode import encode
from tests.bench.bench_editor import Files, served
from tests.bench.load import Memory, processor_seconds
from tests.bench.results import FOLDER, Results
from tests.browser.chromium import CHROMIUM, FLAGS
from tests.server import ROOT

PACKAGES = ROOT / "frontend" / "node_modules"
MOZJPEG = [
    PACKAGES / "@jsquash" / "jpeg" / name
    for name in ("encode.js", "meta.js", "utils.js", "codec/enc/mozjpeg_enc.js", "codec/enc/mozjpeg_enc.wasm")
]
# The encoders of jpeg_encoders.mjs, with the files that a page would have to load.
ENCODERS = {
    "ours": [ROOT / "imaging" / "static" / "imaging" / "engine" / "jpeg.js"],
    "jpeg-js": [PACKAGES / "jpeg-js" / "lib" / "encoder.js"],
    "mozjpeg, baseline": MOZJPEG,
    "mozjpeg, baseline, optimised codes": MOZJPEG,
    "mozjpeg, baseline, trellis split over scans": MOZJPEG,
    "mozjpeg, its defaults": MOZJPEG,
    "the browser's": [],
}
LARGE, SIZE = "coffee.png", (4000, 3000)
PHOTOGRAPHS = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "motorcycle_left.png")
# What the editor and the API take if a caller names none.
QUALITY = 90
SAMPLE_SECONDS, SETTLE_SECONDS = 0.02, 2

START = "() => { new Worker('/tests/bench/jpeg_encoders.mjs', { type: 'module' }); }"
CALL = "async ([name, ...values]) => (await import('/tests/bench/jpeg_encoders.mjs'))[name](...values)"


@dataclass
class Row:
    """An encoder, its browser's process and worker, and what was measured of it."""

    name: str
    pid: int
    worker: Worker
    megabytes: float = 0.0
    milliseconds: list[float] = field(default_factory=list)
    # Of all processes, in ticks of 10 ms: other programs on the machine hardly change it.
    processor_milliseconds: list[float] = field(default_factory=list)
    file_bytes: int = 0
    differences: list[float] = field(default_factory=list)

    def call(self, function: str, *values: object) -> Any:
        return self.worker.evaluate(CALL, [function, *values])

    def encode(self) -> float:
        """The milliseconds of one image."""
        return self.call("encode", self.name, QUALITY)

    def written(self) -> bytes:
        """The file that was encoded last."""
        return base64.b64decode(self.call("written"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    if not all(file.exists() for files in ENCODERS.values() for file in files):
        print("Skipped: `make assets` installs the libraries to compare with.")
        return
    results = Results("jpeg", megapixels=SIZE[0] * SIZE[1] / 1e6, quality=QUALITY, rounds=arguments.rounds)
    with served(Repository) as url, sync_playwright() as playwright:
        rows = [Row(name, *started(playwright, url)) for name in ENCODERS]
        measure_cost(rows, arguments.rounds)
        for name in PHOTOGRAPHS:
            measure_difference(rows, photograph(name))
    report(rows, results)


def started(playwright: Playwright, url: str) -> tuple[int, Worker]:
    """A browser's process id, and the worker in it."""
    browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=[*FLAGS, "--js-flags=--expose-gc"])
    processes = browser.new_browser_cdp_session().send("SystemInfo.getProcessInfo")["processInfo"]
    page = browser.new_page()
    page.goto(url)
    with page.expect_event("worker") as worker:
        page.evaluate(START)
    return next(process["id"] for process in processes if process["type"] == "browser"), worker.value


def measure_cost(rows: Sequence[Row], rounds: int) -> None:
    """Memory, time and size at 12 megapixels. The first image, which loads the encoder, counts for memory only."""
    take(rows, photograph(LARGE).resize(SIZE, Image.Resampling.LANCZOS))
    # Until the browser has given back what fetching took.
    time.sleep(SETTLE_SECONDS)
    for row in rows:
        memory = Memory(row.pid, every=SAMPLE_SECONDS)
        before = memory.now()
        with memory.watched():
            row.encode()
        row.megabytes = memory.peak - before
        row.file_bytes = len(row.written())
    for _ in range(rounds):
        for row in rows:
            before = processor_seconds(row.pid)
            row.milliseconds.append(row.encode())
            row.processor_milliseconds.append(1000 * (processor_seconds(row.pid) - before))


def measure_difference(rows: Sequence[Row], image: Image.Image) -> None:
    take(rows, image)
    expected = decoded(encode(image, "jpeg", None, quality=QUALITY))
    for row in rows:
        row.encode()
        row.differences.append(float(np.abs(decoded(io.BytesIO(row.written())) - expected).mean()))


def take(rows: Sequence[Row], image: Image.Image) -> None:
    """Give the workers an image: its pixels are a file that they fetch."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=FOLDER) as file:
        file.write(image.convert("RGBA").tobytes())
        file.flush()
        for row in rows:
            row.call("take", f"/{Path(file.name).relative_to(ROOT)}", *image.size)


def photograph(name: str) -> Image.Image:
    """One of scikit-image's, without a profile."""
    image = Image.open(Path(skimage.__file__).parent / "data" / name).convert("RGB")
    image.info = {}
    return image


def decoded(file: BinaryIO) -> np.ndarray:
    return np.asarray(Image.open(file).convert("RGB"), np.int16)


def report(rows: Sequence[Row], results: Results) -> None:
    print(f"{'':46}{'ms':>7}{'CPU ms':>9}{'extra MB':>10}{'download, kB':>14}{'file, kB':>10}   differs: median, worst")
    for row in rows:
        download = sum(len(gzip.compress(file.read_bytes())) for file in ENCODERS[row.name]) / 1000
        took, effort = statistics.median(row.milliseconds), statistics.median(row.processor_milliseconds)
        differs, worst = statistics.median(row.differences), max(row.differences)
        print(
            f"{row.name:46}{took:7.0f}{effort:9.0f}{row.megabytes:10.0f}{download:14.0f}{row.file_bytes / 1000:10.0f}"
            f"{differs:12.2f}{worst:12.2f}"
        )
        results.add(
            row.name, ms=took, processor_ms=effort, extra_mb=row.megabytes, download_kb=download,
            file_kb=row.file_bytes / 1000, difference_median=differs, difference_worst=worst, each_ms=row.milliseconds,
            each_difference=row.differences,
        )  # fmt: skip


class Repository(Files):
    """The empty page, and the files of the repository."""

    def translate_path(self, path: str) -> str:
        return str(ROOT) + path


if __name__ == "__main__":
    main()
