"""OpenTelemetry traces: a request with its steps, its queries, and the tasks that it queued. Off by default.

The packages are those of requirements-otel.txt, imported only where OTEL_EXPORTER_OTLP_ENDPOINT is set. The exporter and the
SDK read the rest of OpenTelemetry's own variables (`OTEL_TRACES_SAMPLER`, `OTEL_EXPORTER_OTLP_HEADERS`, …) themselves.
No attribute holds a key, a query string, a caller's address or a file name.
"""

import ipaddress
import time
from collections.abc import Callable, Mapping
from functools import cache
from importlib.util import find_spec
from typing import Any

from celery.concurrency.prefork import TaskPool as Prefork
from celery.signals import celeryd_after_setup, task_prerun, worker_process_init, worker_process_shutdown, worker_shutdown
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse

from lib.ops import request_id

REQUEST_ID = "rembg.request_id"
NANOSECONDS = 1_000_000_000


def is_on() -> bool:
    """Whether tracing is enabled."""
    return bool(settings.OTEL_EXPORTER_OTLP_ENDPOINT)


def is_installed() -> bool:
    """Whether the packages are installed."""
    return all(find_spec(name) for name in ("opentelemetry", "opentelemetry.sdk", "opentelemetry.exporter"))


def start() -> None:
    """Start tracing in this process. Call it after the fork, which the exporter's thread does not survive. Idempotent.

    Raises ImproperlyConfigured without the packages.
    """
    if is_on():
        _start()


def stop() -> None:
    """Send the buffered spans."""
    if is_on():
        _start().shutdown()


@cache
def _start() -> Any:
    if not is_installed():
        raise ImproperlyConfigured(
            "OTEL_EXPORTER_OTLP_ENDPOINT is set, but OpenTelemetry is not installed: pip install -r requirements-otel.txt"
        )
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.instrumentation.celery import CeleryInstrumentor
    from opentelemetry.instrumentation.psycopg import PsycopgInstrumentor
    from opentelemetry.instrumentation.redis import RedisInstrumentor
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=Resource.create({"service.name": settings.OTEL_SERVICE_NAME}))
    endpoint = f"{settings.OTEL_EXPORTER_OTLP_ENDPOINT.rstrip('/')}/v1/traces"
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint)))
    trace.set_tracer_provider(provider)
    # Statements are recorded without their values.
    PsycopgInstrumentor().instrument()
    RedisInstrumentor().instrument()
    CeleryInstrumentor().instrument()  # type: ignore[no-untyped-call]
    # After it: by then the task has its span.
    task_prerun.connect(_name_request, weak=False)
    return provider


class TracingMiddleware:
    """A span for each request, within the trace that a peer in TRACE_NETWORKS names (`traceparent`).

    Any other caller could have all requests sampled, and join foreign traces. A proxy is not such a peer unless it sets the
    header itself: most forward what their clients send.

    OpenTelemetry's own middleware would record the full URL, with a careless caller's key in its query string, and the
    caller's address.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        with _span(request) as span:
            response = self.get_response(request)
            match = request.resolver_match
            route = f"/{match.route}" if match else ""
            span.update_name(f"{request.method} {route}".strip())
            span.set_attribute("http.route", route)
            span.set_attribute("http.response.status_code", response.status_code)
            return response


def _span(request: HttpRequest) -> Any:
    from opentelemetry import propagate, trace

    start()
    known = {}
    if _is_trusted(request.META.get("REMOTE_ADDR", "")):
        known = {name: request.headers[name] for name in ("traceparent", "tracestate") if name in request.headers}
    attributes = {"http.request.method": request.method or "", REQUEST_ID: request_id.current.get()}
    return trace.get_tracer(__name__).start_as_current_span(
        request.method or "", context=propagate.extract(known), kind=trace.SpanKind.SERVER, attributes=attributes
    )


def _is_trusted(peer: str) -> bool:
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:
        return False
    return any(address in network for network in settings.TRACE_NETWORKS)


def note_steps(steps: Mapping[str, float], **attributes: str) -> None:
    """Record spans of consecutive steps that have just ended, given their seconds. Costs nothing while tracing is off."""
    if not is_on():
        return
    from opentelemetry import trace

    tracer = trace.get_tracer(__name__)
    at = time.time_ns() - round(sum(steps.values()) * NANOSECONDS)
    for name, seconds in steps.items():
        span = tracer.start_span(name, start_time=at, attributes=attributes)
        at += round(seconds * NANOSECONDS)
        span.end(end_time=at)


@celeryd_after_setup.connect  # type: ignore[untyped-decorator]
def _start_worker(instance: Any, **kwargs: Any) -> None:
    # With other pools, tasks run in this process.
    if not issubclass(instance.pool_cls, Prefork):
        start()


@worker_process_init.connect  # type: ignore[untyped-decorator]
def _start_worker_process(**kwargs: Any) -> None:
    start()


@worker_process_shutdown.connect  # type: ignore[untyped-decorator]
@worker_shutdown.connect  # type: ignore[untyped-decorator]
def _stop_worker(**kwargs: Any) -> None:
    if _start.cache_info().currsize:
        stop()


def _name_request(**kwargs: Any) -> None:
    """Put the id of the request that queued a task on the task's span."""
    from opentelemetry import trace

    trace.get_current_span().set_attribute(REQUEST_ID, request_id.current.get())
