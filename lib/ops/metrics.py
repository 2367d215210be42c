"""Prometheus metrics: what all parts of the product count into, and the text of `/metrics`.

With one web process the metrics live in memory. With several, prometheus_client keeps them in files that all of them map
(see `lib.ops.metrics_files`), and the process that is scraped adds them up. Values that can be read on demand, such as open
holds in the database, come from collectors that the apps register, so that config need not know them.
"""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from django.http import HttpRequest
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest, multiprocess
from prometheus_client.core import Metric

from lib.ops.metrics_files import FOLDER_VARIABLE

# Seconds. A small image takes half a second, the largest half a minute, and the queue gives up after two minutes.
BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 120)
PROBES = {"healthz", "readyz", "metrics"}

registry = CollectorRegistry()

REQUESTS = Counter(
    "rembg_requests_total",
    "Answered requests. `code` is the error's, as the API reports it.",
    ["endpoint", "status", "code"],
    registry=registry,
)
REQUEST_SECONDS = Histogram(
    "rembg_request_seconds", "Time from request to answer.", ["endpoint"], buckets=BUCKETS, registry=registry
)


@dataclass(frozen=True, slots=True)
class _Reading:
    """A collector of values that are read on each scrape."""

    read: Callable[[], Iterable[Metric]]

    def collect(self) -> Iterable[Metric]:
        return self.read()


_readings: dict[str, _Reading] = {}


def register(name: str, read: Callable[[], Iterable[Metric]]) -> None:
    """Add what `read` yields to `/metrics`. It runs on every scrape: it must be quick and must not raise."""
    _readings[name] = _Reading(read)


def exposition() -> bytes:
    """All metrics of all web processes of this deployment, in Prometheus's text format."""
    merged = CollectorRegistry()
    if FOLDER_VARIABLE in os.environ:
        multiprocess.MultiProcessCollector(merged)  # type: ignore[no-untyped-call]
    else:
        merged.register(registry)
    for reading in _readings.values():
        merged.register(reading)
    return generate_latest(merged)


def count_request(request: HttpRequest, *, status: int, code: str, seconds: float) -> None:
    """Count one answered request."""
    endpoint = _endpoint(request)
    REQUESTS.labels(endpoint, str(status), code).inc()
    REQUEST_SECONDS.labels(endpoint).observe(seconds)


def _endpoint(request: HttpRequest) -> str:
    """A name out of a small set: every new label costs memory here and at Prometheus forever."""
    if request.resolver_match is None:
        return "other"  # static files, and addresses that do not exist
    route = request.resolver_match.route
    if route in PROBES:
        return "probes"
    return route if route == "rmbg" or route.startswith(("api/", "v1.0/")) else "pages"
