"""`/metrics` of several web processes: each one reports on all of them, even after one was killed."""

import os
import signal
import time

import pytest
import requests

from tests.lib.ops.test_metrics import samples
from tests.services.deployment import Deployment

pytestmark = pytest.mark.services

DELIVERED = ("rembg_requests_total", (("code", ""), ("endpoint", "rmbg"), ("status", "200")))
IMAGES = 8
WEB_PROCESSES = 2


def read(deployment: Deployment) -> dict:
    return samples(requests.get(f"{deployment.url}/metrics", timeout=30).text)


def test_every_process_tells_the_figures_of_all(on_postgres, small_png):
    key = on_postgres.call("open_account", included=IMAGES)["key"]
    before = read(on_postgres).get(DELIVERED, 0)
    seen = len(on_postgres.events("-"))
    for _ in range(IMAGES):
        assert on_postgres.cut_out(key, small_png).ok
    readings = [read(on_postgres) for _ in range(6)]
    assert {reported[DELIVERED] - before for reported in readings} == {IMAGES}
    assert {reported["rembg_slots", ()] for reported in readings} == {64 * WEB_PROCESSES}
    assert {reported["rembg_slots_busy", ()] for reported in readings} == {0}
    assert len(on_postgres.events("-")) - seen == IMAGES


def test_a_killed_process_leaves_its_counts_and_no_places(on_postgres, small_png):
    key = on_postgres.call("open_account", included=2)["key"]
    assert on_postgres.cut_out(key, small_png).ok
    before = read(on_postgres)[DELIVERED]
    os.kill(on_postgres.workers()[0], signal.SIGKILL)
    on_postgres.wait_until_ready()
    assert on_postgres.cut_out(key, small_png).ok
    deadline = time.monotonic() + 20
    while (reported := read(on_postgres))["rembg_slots", ()] != 64 * WEB_PROCESSES:
        assert time.monotonic() < deadline, "the killed process still counts, or the new one does not"
        time.sleep(0.1)
    assert reported[DELIVERED] == before + 1
    assert reported["rembg_memory_bytes", ()] > 1e7


def test_the_figures_are_kept_apart_from_everything_else(on_postgres):
    assert on_postgres.process is not None
    folder = on_postgres.folder / "metrics" / str(on_postgres.process.pid)
    assert list(folder.glob("counter_*.db"))
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
