"""What the trip to a Celery worker costs one image of 1 megapixel, and what a second worker adds.

Needs PostgreSQL, Redis and RabbitMQ. The overhead is measured with the real model, alternating between the web process and
a worker; throughput with a model that sleeps, since two workers share the cores that one has.
"""

import argparse
import functools
import io
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from tests.bench.bench_server import photographs
from tests.bench.load import run_round
from tests.scratch_databases import BROKER_URL, REDIS_BENCH_DATABASE, scratch_postgres, scratch_redis
from tests.services.inference import WorkerDeployment

IMAGES = 30
# Roughly what a small image takes on one core.
MODEL_SECONDS = 0.5
# Both deployments accept the same keys.
PEPPER = "bench"
CLIENTS, SECONDS = 8, 12.0
GOAL_OVERHEAD_MS, GOAL_SHARE = 25, 0.9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=IMAGES)
    parser.add_argument("--broker", default=BROKER_URL)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        scratch_postgres() as database,
        scratch_redis(REDIS_BENCH_DATABASE) as redis,
    ):
        settings = {"DATABASE_URL": database, "REDIS_URL": redis, "LOG_LEVEL": "WARNING", "API_KEY_PEPPER": PEPPER}
        overhead(Path(folder) / "overhead", options.broker, settings, options.images)
        throughput(Path(folder) / "throughput", options.broker, settings)


def overhead(folder: Path, broker: str, settings: dict[str, Any], count: int) -> None:
    """Two deployments that differ only in the executor; one caller, alternating images."""
    sides: dict[str, WorkerDeployment] = {}
    for name in ("local", "celery"):
        (folder / name).mkdir(parents=True)
        sides[name] = WorkerDeployment(
            folder / name,
            broker=broker,
            application="config.wsgi:application",
            workers_application="config",
            IMAGING_EXECUTOR=name,
            **settings,
        )
    try:
        for side in sides.values():
            side.start()
        sides["celery"].start_worker("one")
        key = sides["local"].issue_key("bench@example.com", prepaid=1_000_000)
        image = photographs(1)[0]
        seconds: dict[str, list[float]] = {"local": [], "celery": []}
        for number in range(count + 2):
            for name, side in sides.items():
                elapsed = timed(functools.partial(send, side, key, image))
                if number >= 2:  # the first ones open connections
                    seconds[name].append(elapsed)
    finally:
        for side in sides.values():
            side.stop()
    medians = {name: statistics.median(taken) * 1000 for name, taken in seconds.items()}
    pairs = [there - here for here, there in zip(seconds["local"], seconds["celery"], strict=True)]
    print(f"1 MP, one caller, {count} images, median ms: {medians['local']:.0f} local, {medians['celery']:.0f} celery")
    print(f"overhead: {medians['celery'] - medians['local']:.1f} ms between the medians,", end=" ")
    print(f"{statistics.median(pairs) * 1000:.1f} ms in the median of pairs (goal < {GOAL_OVERHEAD_MS})")


def throughput(folder: Path, broker: str, settings: dict[str, Any]) -> None:
    """One web process; one worker, then two, of one process each, whose model sleeps."""
    folder.mkdir()
    deployment = WorkerDeployment(folder, broker=broker, model_seconds=MODEL_SECONDS, **settings)
    try:
        deployment.start()
        key = deployment.issue_key("throughput@example.com", prepaid=1_000_000)
        rates = []
        for name in ("one", "two"):
            deployment.start_worker(name)
            rates.append(rate(functools.partial(send, deployment, key), small_image()))
    finally:
        deployment.stop()
    first, both = rates
    print(
        f"a model that sleeps {MODEL_SECONDS} s, {CLIENTS} callers: one worker {first:.2f} images/s, two {both:.2f};",
        end=" ",
    )
    print(f"the second adds {(both - first) / first:.0%} of the first (goal >= {GOAL_SHARE:.0%})")


def rate(send_one: Callable[[bytes], int], image: bytes) -> float:
    run_round(send_one, [image] * CLIENTS, CLIENTS)
    return run_round(send_one, [image] * round(SECONDS / MODEL_SECONDS), CLIENTS).per_second


def send(side: WorkerDeployment, key: str, image: bytes) -> int:
    answer = side.rmbg(key, files={"image": ("a.jpg", image)}, data={"format": "webp"})
    answer.raise_for_status()
    return len(answer.content)


def timed(act: Callable[[], object]) -> float:
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


def small_image() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 48), "orange").save(buffer, "PNG")
    return buffer.getvalue()


if __name__ == "__main__":
    main()
