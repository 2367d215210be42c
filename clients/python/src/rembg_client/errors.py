"""What calls raise. All of it is a `RembgError`; the classes below say what a program can do about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any


@dataclass(frozen=True)
class FieldProblem:
    """One problem of one field, where a request has several."""

    field: str
    message: str


class RembgError(Exception):
    """A call failed.

    `code` is the server's stable name for the problem, or one of ours: `invalid_input`, `network_error`, `timeout`,
    `invalid_response`, `output_failed`, `invalid_signature`, `http_STATUS`. `status` is the HTTP status, 0 without an
    answer. `details` has every problem where there are several. `request_id` is in the operator's logs.
    `retry_after` is in seconds.
    """

    code = "error"

    def __init__(
        self,
        message: str,
        *,
        code: str = "",
        status: int = 0,
        details: tuple[FieldProblem, ...] = (),
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or type(self).code
        self.status = status
        self.details = details
        self.request_id = request_id
        self.retry_after = retry_after


class InvalidInput(RembgError):
    """What the program handed over cannot be used. Nothing was sent."""

    code = "invalid_input"


class OutputFailed(RembgError):
    """The result could not be written."""

    code = "output_failed"


class InvalidSignature(RembgError):
    """A callback is not the server's, was changed on its way, or is too old."""

    code = "invalid_signature"


class ConnectionFailed(RembgError):
    """The server could not be reached, or the connection broke."""

    code = "network_error"


class TimedOut(ConnectionFailed):
    """The call took longer than its time limit."""

    code = "timeout"


class ApiError(RembgError):
    """The server answered, but not with a success."""


class InvalidResponse(ApiError):
    """A success that the server never sends: some other server answers there."""

    code = "invalid_response"


class Refused(ApiError):
    """The request is at fault (400, 409, 413, 415, …): sent again, it is refused again."""


class NotAllowed(ApiError):
    """The key is wrong, or its owner may not do this (401, 403)."""


class NotFound(ApiError):
    """No such thing, or not any more (404, 410)."""


class RateLimited(ApiError):
    """Too many requests in a short time (429). It passes after `retry_after`."""


class OutOfCredits(ApiError):
    """A credit balance, cap or daily allowance is used up (429): waiting seconds does not help."""


class ServerFault(ApiError):
    """The server's fault (5xx)."""


class ServerBusy(ServerFault):
    """Every place is taken, or a part of the server is away (503). It passes."""


# `http_429` is a proxy's. Every other 429 of the server says that something is used up.
_PASSING_429 = ("rate_limited", "http_429")
_BY_STATUS: Mapping[int, type[ApiError]] = {
    401: NotAllowed,
    403: NotAllowed,
    404: NotFound,
    410: NotFound,
    429: OutOfCredits,
    503: ServerBusy,
}


def error_of(status: int, headers: Mapping[str, str], body: Any) -> ApiError:
    """The error that an answer reports. `body` is its parsed JSON, or anything else for a proxy's page."""
    facts = body if isinstance(body, dict) else {}
    code = str(facts.get("code") or f"http_{status}")
    kind = RateLimited if status == 429 and code in _PASSING_429 else _BY_STATUS.get(status)
    return (kind or (ServerFault if status >= 500 else Refused))(
        str(facts.get("error") or f"The server answered with HTTP {status}"),
        code=code,
        status=status,
        details=_details(facts.get("details")),
        request_id=headers.get("x-request-id"),
        retry_after=seconds_to_wait(headers.get("retry-after")),
    )


def seconds_to_wait(value: str | None) -> float | None:
    """`Retry-After`: a number of seconds or a date (RFC 9110, 10.2.3). None if there is none."""
    if not value:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        date = parsedate_to_datetime(value)
    except ValueError:
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=timezone.utc)
    return max(0.0, (date - datetime.now(timezone.utc)).total_seconds())


def _details(value: Any) -> tuple[FieldProblem, ...]:
    rows = value if isinstance(value, list) else []
    return tuple(
        FieldProblem(str(row.get("field", "")), str(row.get("message", ""))) for row in rows if isinstance(row, dict)
    )
