"""The server under slow clients, and the cost: gunicorn's thread worker against ours, on the same application.

The model is a stand-in that takes no time. `python tests/bench/bench_connections.py`
"""

import io
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

import requests
from PIL import Image

from tests.imaging.removal.forms import form
from tests.server import ROOT
from tests.services.deployment import Deployment
from tests.services.slow_clients import MODES, is_served, slow_clients

MEGABYTE = 1024**2
SLOW = 200
WORKERS = {"gunicorn gthread": ["--worker-class", "gthread", "--threads", "48"], "ours": []}


class Served(Deployment):
    """A deployment whose worker class the command line names."""

    arguments: list[str]

    def serve(self) -> "Served":
        command = [sys.executable, "-m", "gunicorn", "-c", "config/gunicorn.py", *self.arguments, self.application]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, env=self._env(), stdout=log, stderr=log)
        self.wait_until_ready()
        return self


def encoded(image: Image.Image, file_format: str = "PNG") -> bytes:
    file = io.BytesIO()
    image.save(file, file_format)
    return file.getvalue()


def seconds(call: Callable[[], object], times: int) -> float:
    """The median over several calls."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        call()
        taken.append(time.perf_counter() - began)
    return median(taken)


def post(session: requests.Session, url: str, key: str, body: dict) -> requests.Response:
    return session.post(
        f"{url}/rmbg", body["data"], headers={"x-api-key": key, "Content-Type": body["content_type"]}, timeout=120
    )


def per_second(url: str, key: str, body: dict, callers: int = 8, calls: int = 25) -> float:
    """Small images per second from several callers at once."""

    def send(_: int) -> None:
        with requests.Session() as session:
            for _ in range(calls):
                post(session, url, key, body).raise_for_status()

    began = time.perf_counter()
    with ThreadPoolExecutor(callers) as pool:
        list(pool.map(send, range(callers)))
    return callers * calls / (time.perf_counter() - began)


def measure(name: str, arguments: list[str], folder: Path) -> None:
    folder.mkdir()
    running = Served(folder, model_seconds=0, RATE_LIMIT_ENABLED="0", WEB_THREADS="48", IMAGING_SLOTS="2")
    running.arguments = arguments
    running.start()
    try:
        key = running.issue_key("bench@example.com", prepaid=100_000)
        small = form(encoded(Image.new("RGB", (64, 64), "red")))
        large = form(encoded(Image.effect_noise((4000, 3000), 60).convert("RGB"), "JPEG"), format="jpeg")
        refused = form(bytes(47 * MEGABYTE))
        with requests.Session() as session:
            print(f"== {name}")
            print(f"small images a second, 8 callers: {per_second(running.url, key, small):.1f}")
            print(f"one small image: {seconds(lambda: post(session, running.url, key, small), 50) * 1000:.1f} ms")
            print(f"12 megapixels, {len(large['data']) / MEGABYTE:.0f} MB: ", end="")
            print(f"{seconds(lambda: post(session, running.url, key, large), 5):.2f} s")
            print(f"refused upload of 47 MB: {seconds(lambda: post(session, running.url, 'no', refused), 5):.2f} s")
            print(f"GET /healthz: {seconds(lambda: session.get(f'{running.url}/healthz', timeout=9), 100) * 1000:.1f} ms")
        for mode in MODES:
            with slow_clients(running.port, mode, SLOW) as clients:
                time.sleep(1)
                served = [is_served(running.url, seconds=4) for _ in range(3)]
                clients.dribble()
            print(f"{SLOW} × {mode}: {sum(served)} of {len(served)} honest calls served")
            time.sleep(1)
    finally:
        assert running.process is not None
        workers = running.workers()
        running.process.kill()
        for worker in workers:
            subprocess.run(["kill", "-9", str(worker)], check=False)
        running.process.wait()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for number, (name, arguments) in enumerate(WORKERS.items()):
            measure(name, arguments, Path(folder) / str(number))


if __name__ == "__main__":
    main()
