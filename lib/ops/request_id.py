"""One id per request: in the response and every log line; the caller's own if it sends a valid one."""

import logging
import re
import uuid
from collections.abc import Callable
from contextvars import ContextVar

from django.http import HttpRequest, HttpResponse

HEADER = "X-Request-Id"
# Long enough for a UUID or a trace id, and nothing that could break a log line or a header.
VALID = re.compile(r"[A-Za-z0-9._-]{8,128}")

current: ContextVar[str] = ContextVar("request_id", default="-")


class RequestIdMiddleware:
    """Sets the id of the request before anything else sees it, and of the response after everything else has."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        offered = request.headers.get(HEADER, "")
        request_id = offered if VALID.fullmatch(offered) else str(uuid.uuid4())
        token = current.set(request_id)
        try:
            response = self.get_response(request)
            response.headers[HEADER] = request_id
            return response
        finally:
            current.reset(token)


class RequestIdFilter(logging.Filter):
    """Puts the current request's id on every log record."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = current.get()
        return True
