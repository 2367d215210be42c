"""What a request costs on top of the image's own work, and the whole against `rembg.remove` with the same encoding.

    python tests/bench/bench_request.py

Starts the product and sends a 1-megapixel JPEG, in turn with rembg in this process on the same weights and threads
(A B A B), and prints medians.
"""

import http.client
import io
import os
import re
import statistics
import tempfile
import time
from pathlib import Path

os.environ.setdefault("NUMBA_DISABLE_JIT", "1")  # rembg's import otherwise compiles for a minute, for nothing we use
os.environ.setdefault("OMP_NUM_THREADS", str(len(os.sched_getaffinity(0))))

import rembg
from PIL import Image
from skimage import data

from imaging.core.codecs.encode import encode
from tests.imaging.removal.forms import form
from tests.server import ProductServer

ROUNDS = 15
# onnxruntime's threads spin for a while after a run, on the cores that the other side needs.
SETTLE_SECONDS = 0.2
OVERHEAD_GOAL_MS = 10
STEPS = ("decode", "inference", "compose", "encode")


def main() -> None:
    image = Image.fromarray(data.astronaut()).resize((1000, 1000), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=90)
    photo = buffer.getvalue()
    session = rembg.new_session("u2net")
    with tempfile.TemporaryDirectory() as folder:
        server = ProductServer(Path(folder), {"RATE_LIMIT_ENABLED": "0", "LOG_LEVEL": "WARNING"}).start()
        try:
            key = server.issue_key("bench@example.com")
            run(server, key, photo, session)
        finally:
            server.stop()


def run(server: ProductServer, key: str, photo: bytes, session: object) -> None:
    # No client library: its cost is not the product's.
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    arguments = form(photo, name="a.jpg")
    headers = {"x-api-key": key, "Content-Type": arguments["content_type"]}
    ours, theirs, overheads, steps = [], [], [], []
    for _ in range(ROUNDS + 2):
        time.sleep(SETTLE_SECONDS)
        started = time.perf_counter()
        connection.request("POST", "/rmbg", arguments["data"], headers)
        answer = connection.getresponse()
        answer.read()
        ours.append(time.perf_counter() - started)
        assert answer.status == 200
        durations = dict(re.findall(r"(\w+);dur=([\d.]+)", answer.headers["Server-Timing"]))
        work = sum(float(durations[step]) for step in STEPS)
        overheads.append(ours[-1] * 1000 - work)
        steps.append(work)
        time.sleep(SETTLE_SECONDS)
        started = time.perf_counter()
        encode(rembg.remove(Image.open(io.BytesIO(photo)), session=session), "webp", None)
        theirs.append(time.perf_counter() - started)
    report(*(values[2:] for values in (ours, theirs, overheads, steps)))


def report(ours: list[float], theirs: list[float], overheads: list[float], steps: list[float]) -> None:
    median = statistics.median
    print(f"1 MP JPEG in, WebP out, {ROUNDS} rounds, medians")
    print(f"  whole request over HTTP       {median(ours) * 1000:7.1f} ms")
    print(f"  decode … encode               {median(steps):7.1f} ms")
    print(f"  everything else               {median(overheads):7.1f} ms   goal < {OVERHEAD_GOAL_MS}")
    print(f"  rembg.remove + same encoding  {median(theirs) * 1000:7.1f} ms")
    ratios = [our / their for our, their in zip(ours, theirs, strict=True)]
    print(f"  ours / rembg                  {median(ratios):7.2f}      goal <= 1")


if __name__ == "__main__":
    main()
