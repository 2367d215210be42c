"""What `/metrics` reports about the server itself."""

from prometheus_client import Counter

from lib.ops.metrics import registry

REFUSED = Counter(
    "rembg_web_refused_total",
    "Requests that the server answered itself, by the error's code, and connections that it ended: slow_reader, crowded.",
    ["reason"],
    registry=registry,
)
