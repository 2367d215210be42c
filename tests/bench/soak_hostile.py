"""A paying customer sends one small image a second while the service is attacked in every way we know.

    PYTHONPATH=. python tests/bench/soak_hostile.py [--seconds 300] [--seed 1] [--only 1-sqlite-direct ...] [--image red]

The image is a photograph of 256 pixels, or with `--image red` a red square: the most expensive small image, since INT8
finds no subject in it, so that fp32 runs as well.

200 connections that never finish their headers, 200 that never finish their bodies, 50 that hardly read their responses
(half of them results of 300 MB), and hostile images of every kind from 20 addresses, with three keys, with a wrong key and
without one. All of it stays on loopback and ends. The attackers run at a lower priority (see `hostile_clients`). The product
runs as operators run it, with the real model: one process or two, on SQLite or on PostgreSQL and Redis, directly or behind
Caddy with the shipped Caddyfile.

Prints one line per deployment and ends with an error if any of the customer's calls was not answered 200, if the 95th
percentile reached 5 s, memory 1.5 GB for each process, or if anything was left: bytes on disk, credits on hold, a ledger
that disagrees.
"""

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import requests
from PIL import Image
from skimage import data

from tests.bench.hostile_clients import small_image
from tests.bench.hostile_images import write_hostile_images
from tests.bench.load import Memory, Round, repeated, tree
from tests.scratch_databases import REDIS_BENCH_DATABASE, scratch_postgres, scratch_redis
from tests.server import ROOT, ProductServer
from tests.services.caddy import Caddy

ATTACKERS = {"slow_headers": 200, "slow_bodies": 200, "slow_readers": 50, "throwers": 23}
# Loopback addresses of the attackers: 20, none of them the customer's.
ADDRESSES = [f"127.0.0.{number}" for number in range(2, 22)]
ATTACKING_PLANS = ("Free", "Premium-1000", "Premium-20000")
P95_SECONDS = 5.0
MEMORY_MB = 1536.0
# Above every deadline: a call that waits longer was not answered.
PATIENCE_SECONDS = 60
# How often memory and disk are sampled. More often slows the server down.
LOOK_SECONDS = 1.0
# How long a dropped connection, or an abandoned response, may take to be cleaned up.
SETTLE_SECONDS = 60
DEPLOYMENTS = ["-".join(parts) for parts in product(("1", "2"), ("sqlite", "postgres"), ("direct", "caddy"))]


def photograph() -> bytes:
    """256 pixels wide, about 10 kB."""
    buffer = io.BytesIO()
    Image.fromarray(data.coffee()).resize((256, 170)).save(buffer, "JPEG")
    return buffer.getvalue()


IMAGES: dict[str, Callable[[], bytes]] = {"photograph": photograph, "red": small_image}


@dataclass
class Customer:
    """Sends a small image and reads /readyz once a second, from its own address and with its own key."""

    url: str
    key: str
    image: bytes
    images: list[float] = field(default_factory=list)
    probes: list[float] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)

    @property
    def calls(self) -> int:
        return len(self.images) + len(self.probes) + self.failures.total()

    def call_until(self, ends: float, probe_url: str) -> None:
        """Both kinds of call in separate threads, each on its second whether or not the previous one has been answered."""
        threads = []
        while time.monotonic() < ends:
            for act in (self._send, lambda: self._probe(probe_url)):
                threads.append(threading.Thread(target=act))
                threads[-1].start()
            time.sleep(1)
        for thread in threads:
            thread.join(PATIENCE_SECONDS)

    def _send(self) -> None:
        def post() -> requests.Response:
            files, headers = {"image": ("a.jpg", self.image)}, {"x-api-key": self.key}
            return requests.post(f"{self.url}/rmbg", files=files, headers=headers, timeout=PATIENCE_SECONDS)

        self._timed(post, self.images)

    def _probe(self, url: str) -> None:
        self._timed(lambda: requests.get(f"{url}/readyz", timeout=PATIENCE_SECONDS), self.probes)

    def _timed(self, call: Callable[[], requests.Response], seconds: list[float]) -> None:
        started = time.monotonic()
        try:
            answer = call()
        except requests.RequestException as error:
            self.failures[type(error).__name__] += 1
            return
        if answer.status_code == 200:
            seconds.append(time.monotonic() - started)
        else:
            self.failures[f"{answer.status_code} {answer.text[:80]}"] += 1


@dataclass
class Disk:
    """Bytes under `folder`, and in deleted files that the server's processes hold open, over time."""

    folder: Path
    pid: int
    peak: int = 0

    def watched(self) -> AbstractContextManager[None]:
        """Take samples while the block runs."""
        return repeated(self._look, LOOK_SECONDS)

    def now(self) -> int:
        named = sum(_blocks(str(path)) for path in self.folder.rglob("*") if path.is_file())
        return named + sum(_nameless(pid) for pid in tree(self.pid))

    def _look(self) -> None:
        self.peak = max(self.peak, self.now())


def _blocks(path: str) -> int:
    try:
        return os.stat(path).st_blocks * 512  # noqa: PTH116 - also of /proc's links, followed
    except OSError:  # it has gone meanwhile
        return 0


def _nameless(pid: int) -> int:
    """Bytes on disk of a process's open files that have been unlinked."""
    total = 0
    try:
        for link in Path(f"/proc/{pid}/fd").iterdir():
            target = str(link.readlink())
            if target.endswith(" (deleted)") and not target.startswith("/memfd:"):
                total += _blocks(str(link))
    except OSError:
        return total
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="*", choices=DEPLOYMENTS, default=DEPLOYMENTS)
    parser.add_argument("--image", choices=IMAGES, default="photograph")
    options = parser.parse_args()
    image = IMAGES[options.image]()
    with tempfile.TemporaryDirectory() as images:
        write_hostile_images(Path(images))
        failed = [name for name in options.only if not soak(name, image, Path(images), options.seconds, options.seed)]
    sys.exit(f"failed: {', '.join(failed)}" if failed else 0)


def soak(name: str, image: bytes, images: Path, seconds: int, seed: int) -> bool:
    """One deployment under attack. Prints what the customer saw; returns whether everything held."""
    processes, database, way = name.split("-")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        environment = {"WEB_PROCESSES": processes, "TMPDIR": str(folder / "tmp"), "LOG_LEVEL": "ERROR"}
        (folder / "tmp").mkdir()
        if database == "postgres":
            environment["DATABASE_URL"] = stack.enter_context(scratch_postgres())
        if database == "postgres" or processes != "1":
            environment["REDIS_URL"] = stack.enter_context(scratch_redis(REDIS_BENCH_DATABASE))
        if way == "caddy":
            environment["TRUSTED_PROXY_COUNT"] = "1"
        server = ProductServer(folder, environment).start()
        stack.callback(server.stop)
        url = server.url
        if way == "caddy":
            proxy = Caddy(folder, server.port).start()
            stack.callback(proxy.stop)
            url = proxy.url
        return _attack(name, image, server, url, images, seconds, seed)


def _attack(name: str, image: bytes, server: ProductServer, url: str, images: Path, seconds: int, seed: int) -> bool:
    assert server.process is not None
    customer = Customer(url, server.issue_key("customer@example.com"), image)
    keys = [server.issue_key(f"attacker-{plan}@example.com".lower(), plan=plan) for plan in ATTACKING_PLANS]
    # The first calls load what is loaded once.
    customer.call_until(time.monotonic() + 3, server.url)
    customer = Customer(url, customer.key, image)
    memory, disk = Memory(server.process.pid, every=LOOK_SECONDS), Disk(server.folder / "tmp", server.process.pid)
    before = disk.now()
    plan = {
        "port": int(url.rpartition(":")[2]), "keys": keys, "addresses": ADDRESSES, "seconds": seconds, "seed": seed,
        "folder": str(images), **ATTACKERS,
    }  # fmt: skip
    command = [sys.executable, "-m", "tests.bench.hostile_clients", json.dumps(plan)]
    attackers = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    with memory.watched(), disk.watched():
        # /readyz is internal: a proxy does not forward it.
        customer.call_until(time.monotonic() + seconds, server.url)
    outcomes = json.loads(attackers.communicate(timeout=60)[0])
    left = _settle(disk, before)
    held, figures = _audit(server)
    return _report(name, customer, memory, disk, left, held, figures, outcomes)


def _settle(disk: Disk, before: int) -> int:
    """Bytes on disk beyond the earlier ones, once they are gone or time is up."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while (left := disk.now() - before) > 0 and time.monotonic() < deadline:
        time.sleep(1)
    return left


_HELD = "from billing.models import Hold; print(Hold.objects.filter(state=Hold.State.HELD).count())"


def _audit(server: ProductServer) -> tuple[int, str]:
    """Credits still on hold, and what `reconcile` reports for all accounts."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while (held := int(server.manage("shell", "--verbosity", "0", "--command", _HELD))) and time.monotonic() < deadline:
        time.sleep(1)
    try:
        return held, server.manage("reconcile").strip().splitlines()[-1]
    except AssertionError as difference:
        return held, f"DIFFER: {difference}"


def _report(
    name: str, customer: Customer, memory: Memory, disk: Disk, left: int, held: int, figures: str, outcomes: dict[str, int]
) -> bool:
    images, probes = Round(customer.images or [999.0], 1, 0), Round(customer.probes or [999.0], 1, 0)
    checks = {
        "answers": not customer.failures,
        "p95": max(images.p95, probes.p95) < P95_SECONDS,
        "memory": memory.peak < MEMORY_MB * int(name[0]),
        "disk": left <= 0,
        "credits": held == 0 and "DIFFER" not in figures,
    }
    broken = [check for check, holds in checks.items() if not holds]
    print(
        f"{name:22} {customer.calls} calls, {customer.failures.total()} failed; "
        f"image p50 {images.p50:.2f} p95 {images.p95:.2f} max {max(images.latencies):.2f} s; "
        f"readyz p50 {probes.p50:.2f} p95 {probes.p95:.2f} max {max(probes.latencies):.2f} s; "
        f"memory {memory.peak:.0f} MB; disk peak {disk.peak / 1e6:.0f}, left {left / 1e6:.1f} MB; held {held}; {figures}; "
        f"{'FAILED: ' + ', '.join(broken) if broken else 'held'}",
        flush=True,
    )
    print(f"    attackers: {json.dumps(outcomes)}", flush=True)
    for failure, count in customer.failures.most_common(5):
        print(f"    {count} x {failure}", flush=True)
    return not broken


if __name__ == "__main__":
    main()
