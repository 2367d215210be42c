"""Answers that the server gives without the application: JSON under the API's addresses, a line of text elsewhere."""

import json
import uuid
from http import HTTPStatus
from typing import Any

from lib.ops import request_id
from lib.web.errors import ApiError, from_status, is_api_path, shaped


class Refused(Exception):
    """The request cannot be served. `status` is the response's."""

    def __init__(self, status: int, reason: str = "") -> None:
        super().__init__(reason or str(status))
        self.error = server_error(status, reason)


def server_error(status: int, reason: str = "") -> ApiError:
    """The API's error for a status, with `reason`, if any, as its message."""
    error = from_status(status)
    error.message = reason or error.message
    return error


def render(error: ApiError, path: str, headers: dict[str, Any]) -> tuple[str, list[tuple[str, str]], bytes]:
    """Status line, headers and body of a response. `headers` are the request's as far as known, named as in WSGI."""
    offered = str(headers.get("X_REQUEST_ID", ""))
    status, own_headers, body_fields = shaped(error, path)
    answer = dict(own_headers) | {
        "X-Request-Id": offered if request_id.VALID.fullmatch(offered) else str(uuid.uuid4()),
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
    }
    if is_api_path(path):
        body = json.dumps(body_fields).encode()
        # A browser on another origin could not read the error otherwise.
        answer |= {
            "Content-Type": "application/json",
            "Access-Control-Allow-Origin": "*",
            "Access-Control-Expose-Headers": "retry-after, x-request-id",
        }
    else:
        body = f"{error.message}\n".encode()
        answer |= {"Content-Type": "text/plain; charset=utf-8"}
    return f"{status} {HTTPStatus(status).phrase}", list(answer.items()), body
