"""One structured log line per request. Never the query string or a header: a careless caller may have put a key there."""

import logging
import time
from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse

from lib.ops import metrics

logger = logging.getLogger("access")

# In META, which Django's request and the one that DRF wraps around it share. No header has such a name.
_FACTS = "rembg.log_facts"


def note(request: HttpRequest, **facts: Any) -> None:
    """Add facts (caller, error code, …) to this request's log line."""
    request.META.setdefault(_FACTS, {}).update(facts)


class AccessLogMiddleware:
    """Log method, path, status and duration with any facts the views noted, and count the same for `/metrics`."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        started = time.perf_counter()
        response = self.get_response(request)
        seconds = time.perf_counter() - started
        noted = request.META.get(_FACTS, {})
        metrics.count_request(request, status=response.status_code, code=noted.get("error_code", ""), seconds=seconds)
        facts = {
            "method": request.method,
            "path": _public_path(request),
            "status": response.status_code,
            "duration_ms": round(seconds * 1000, 1),
        }
        logger.info("request", extra=facts | noted)
        return response


def note_refused(method: str, path: str, status: int, code: str) -> None:
    """Log a request that the server answered itself, before the application saw it."""
    logger.info("request", extra={"method": method, "path": path, "status": status, "error_code": code, "duration_ms": 0})


def _public_path(request: HttpRequest) -> str:
    """The path, without the secret of a link that we mailed: anyone who reads the log could follow it."""
    match = request.resolver_match
    secret = match.kwargs.get("key") if match else None
    return request.path.replace(secret, "…") if secret else request.path
