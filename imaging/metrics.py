"""Metrics of image processing: the time of each step, the queue, the model, memory."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from prometheus_client import Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric

from imaging.core.weights.files import weights_version
from imaging.executor import presence, runtime
from lib.ops import metrics

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
STATM = Path("/proc/self/statm")

STAGE_SECONDS = Histogram(
    "rembg_stage_seconds",
    "Time of each step of a delivered image; `queue` is the wait for a place.",
    ["stage"],
    buckets=metrics.BUCKETS,
    registry=metrics.registry,
)
MEMORY = Gauge(
    "rembg_memory_bytes",
    "Resident memory of the web processes, as of each one's last image.",
    multiprocess_mode="livesum",
    registry=metrics.registry,
)


def note_delivery(timings: Mapping[str, float]) -> None:
    """Record a delivered image: the seconds of each step, of which the first is the wait in the queue."""
    for stage, seconds in timings.items():
        STAGE_SECONDS.labels(stage).observe(seconds)
    note_memory()


def note_memory() -> None:
    """Record the process's resident memory, where the system reports it."""
    try:
        MEMORY.set(int(STATM.read_text().split()[1]) * PAGE_BYTES)
    except OSError:
        return


def read() -> Iterator[Metric]:
    """The model of the process that is scraped: all have the same one."""
    note_memory()
    name = runtime.model_name()
    family = GaugeMetricFamily(
        "rembg_model_info", "The model that is served; 0 until it is loaded.", labels=["name", "version"]
    )
    family.add_metric([name, weights_version(name)], runtime.is_ready())
    yield family
    if runtime.is_remote():
        count = len(presence.find_models())
        yield GaugeMetricFamily("rembg_inference_workers", "Processes of workers that have their model loaded.", count)
