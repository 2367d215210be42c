"""Kills workers and cuts off the broker repeatedly during a stream of images; then compares responses with charges.

    PYTHONPATH=. python tests/bench/soak_workers.py [--times 20] [--seed 1]

Needs PostgreSQL, Redis and RabbitMQ. Exits with an error if a caller was not answered in time, or paid for no image.
"""

import argparse
import io
import statistics
import tempfile
import time
from pathlib import Path

from PIL import Image

from tests.scratch_databases import BROKER_URL, REDIS_BENCH_DATABASE, scratch_postgres, scratch_redis
from tests.services.inference import FAULTS, Load, WorkerDeployment, assert_answered_and_charged, inject_faults_under_load

DEADLINE = 30
# Longer than a worker takes to start: each fault finds workers at work.
PAUSES = (0.3, 2.5)
OUTAGES = (1, 5, 15)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--broker", choices=["rabbitmq", "redis", "both"], default="both")
    options = parser.parse_args()
    with scratch_redis() as on_redis:
        brokers = {"rabbitmq": BROKER_URL, "redis": on_redis}
        for name, url in brokers.items():
            if options.broker in (name, "both"):
                soak(name, url, options.times, options.seed)


def soak(name: str, broker: str, times: int, seed: int) -> None:
    """One broker, two workers, `times` of each fault."""
    temporary, cache = tempfile.TemporaryDirectory(), scratch_redis(REDIS_BENCH_DATABASE)
    with temporary as folder, scratch_postgres() as database, cache as redis:
        deployment = WorkerDeployment(
            Path(folder), broker=broker, DATABASE_URL=database, REDIS_URL=redis, IMAGING_QUEUE_SECONDS=str(DEADLINE)
        )
        try:
            deployment.start()
            deployment.start_worker("one")
            deployment.start_worker("two")
            load = inject_faults_under_load(deployment, image(), times=times, seed=seed, pauses=PAUSES)
            assert_answered_and_charged(load, DEADLINE + 2)
            print(f"{name}: {times} x {', '.join(FAULTS)}: {summary_of(load)}", flush=True)
            for seconds in OUTAGES:
                outage(name, deployment, seconds)
        finally:
            deployment.stop()


def outage(name: str, deployment: WorkerDeployment, seconds: float) -> None:
    """Cut the broker off for a while; print how long until images are served again."""
    with Load(deployment, image()) as load:
        load.wait_for(2)
        deployment.proxy.go_down()
        time.sleep(seconds)
        deployment.proxy.come_back()
        back = time.monotonic()
        load.wait_for(11)
        recovered = time.monotonic() - back
    assert_answered_and_charged(load, DEADLINE + 2)
    print(f"{name}: away for {seconds} s: 11 images {recovered:.1f} s after it was back; ledger agrees", flush=True)


def summary_of(load: Load) -> str:
    """The outcomes of the requests."""
    ordered = sorted(load.seconds)
    slow = ordered[max(0, round(0.99 * len(ordered)) - 1)]
    outcomes = ", ".join(f"{count} {outcome}" for outcome, count in load.outcomes.items())
    return (
        f"{outcomes}; seconds p50 {statistics.median(ordered):.2f}, p99 {slow:.2f}, longest {ordered[-1]:.2f}; ledger agrees"
    )


def image() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 48), "orange").save(buffer, "PNG")
    return buffer.getvalue()


if __name__ == "__main__":
    main()
