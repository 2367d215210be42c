"""The editor's WebP, by libwebp in WebAssembly, against the browser's own encoder, at 12 megapixels and quality 85.

    python -m tests.bench.bench_webp

In Debian's Chromium, in a worker, in turn. Prints for each the median time, the bytes, the mean difference from the API's
file, and the memory of WebAssembly at its highest, which goes with each encoder.
"""

import base64
import io
import statistics
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter
from playwright.sync_api import Page, sync_playwright

from imaging.core.codecs.webp_writer import encode_webp
from tests.bench.bench_editor import ROOT, Files, served
from tests.browser.chromium import CHROMIUM, FLAGS

PHOTOGRAPH = ROOT / "imaging/static/imaging/samples/coffee.jpg"
SIZE, ROUNDS = (4000, 3000), 5

# As engine/encode.js calls it. `grown` is the memory that an encoder has grown to.
WORKER = """
import { webpFile } from "/static/imaging/engine/webp.js";

let heap = null;
const { Instance } = WebAssembly;
WebAssembly.Instance = function (...all) {
  const instance = new Instance(...all);
  heap = Object.values(instance.exports).find((value) => value instanceof WebAssembly.Memory);
  return instance;
};

async function byCanvas({ width, height, data }) {
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext("2d").putImageData(new ImageData(data, width, height), 0, 0);
  return canvas.convertToBlob({ type: "image/webp", quality: 0.85 });
}

self.onmessage = async ({ data: { name, width, height, buffer } }) => {
  const raster = { width, height, data: new Uint8ClampedArray(buffer) };
  const started = performance.now();
  const file = await (name === "libwebp" ? webpFile(raster, 85, false) : byCanvas(raster));
  const took = performance.now() - started;
  self.postMessage({ took, file, grown: name === "libwebp" ? heap.buffer.byteLength : 0 });
};
"""
ENCODE = """async ({ worker, name, address, width, height }) => {
  const script = new Blob([worker.replaceAll('"/static', `"${location.origin}/static`)], { type: "text/javascript" });
  globalThis.worker ??= new Worker(URL.createObjectURL(script), { type: "module" });
  const buffer = await (await fetch(address)).arrayBuffer();
  const { took, grown, file } = await new Promise((done) => {
    globalThis.worker.onmessage = ({ data }) => done(data);
    globalThis.worker.postMessage({ name, width, height, buffer }, [buffer]);
  });
  const bytes = new Uint8Array(await file.arrayBuffer());
  let text = "";
  for (let at = 0; at < bytes.length; at += 9000) text += String.fromCharCode(...bytes.subarray(at, at + 9000));
  return { took, grown, file: btoa(text) };
}"""


class Pixels(Files):
    """The same, and the pixels to encode. Playwright's own answers take half a minute for as much."""

    pixels = b""

    def do_GET(self) -> None:
        if self.path != "/pixels":
            super().do_GET()
            return
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.pixels)


def main() -> None:
    with served(Pixels) as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        page = browser.new_page()
        page.goto(url)
        for kind, image in (("opaque", photograph()), ("with alpha", cutout())):
            compare(page, kind, image)
        browser.close()


def photograph() -> Image.Image:
    return Image.open(PHOTOGRAPH).convert("RGBA").resize(SIZE, Image.Resampling.LANCZOS)


def cutout() -> Image.Image:
    image, matte = photograph(), Image.new("L", SIZE)
    ImageDraw.Draw(matte).ellipse((800, 300, 2800, 2700), fill=255)
    image.putalpha(matte.filter(ImageFilter.GaussianBlur(20)))
    return image


def compare(page: Page, kind: str, image: Image.Image) -> None:
    expected = encode_webp(image.copy(), None)
    print(f"{kind}: {len(expected):,} bytes by the API")
    Pixels.pixels = image.tobytes()
    sent = {"worker": WORKER, "address": "/pixels", "width": SIZE[0], "height": SIZE[1]}
    results: dict[str, list[dict[str, Any]]] = {"libwebp": [], "canvas": []}
    for _ in range(ROUNDS):
        for name, rounds in results.items():
            rounds.append(page.evaluate(ENCODE, {**sent, "name": name}))
    for name, rounds in results.items():
        written = base64.b64decode(rounds[0]["file"])
        difference = np.abs(seen(written) - seen(expected)).mean()
        took, grown = statistics.median(each["took"] for each in rounds), max(each["grown"] for each in rounds)
        row = f"  {name:10}{took:6.0f} ms{len(written):>12,} bytes"
        print(f"{row}   differs by {difference:.2f} of 255   {grown / 2**20:.0f} MiB")


def seen(file: bytes) -> npt.NDArray[np.int16]:
    """Premultiplied pixels: what shows on black."""
    return np.asarray(Image.open(io.BytesIO(file)).convert("RGBA").convert("RGBa"), np.int16)


if __name__ == "__main__":
    main()
