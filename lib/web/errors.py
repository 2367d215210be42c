"""The one error class of the product, and the one place that renders errors.

Domain code raises `ApiError`. Under /rmbg, /api/ and /v1.0/ every error, ours or the framework's, becomes the JSON that
the API promises; anywhere else it becomes a page.
"""

import errno
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import translation
from django.utils.cache import add_never_cache_headers
from django.utils.functional import Promise
from django.utils.translation import gettext, gettext_lazy
from rest_framework import exceptions
from rest_framework.response import Response

from lib.ops import access_log, database, request_id

logger = logging.getLogger(__name__)


class ApiError(Exception):
    """An error that the caller is told about.

    `status` is the HTTP status, `code` a stable machine-readable name, `message` the public text. `details` lists field
    problems as `{"field": …, "message": …}`; `headers` are added to the answer.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        details: Sequence[Mapping[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.details = list(details)
        self.headers = dict(headers or {})

    def body(self) -> dict[str, Any]:
        """The JSON object of the API's error shape."""
        body: dict[str, Any] = {"error": self.message, "code": self.code}
        if self.details:
            body["details"] = self.details
        return body | {"status": self.status}


def validation_error(problems: Sequence[tuple[str, str, str]]) -> ApiError:
    """One 400 for all `(field, code, message)` problems of a request: a single one speaks for itself."""
    if len(problems) == 1:
        _, code, message = problems[0]
        return ApiError(400, code, message)
    details = [{"field": field, "message": message} for field, _, message in problems]
    return ApiError(400, "validation_error", "Multiple validation errors", details=details)


# What the framework raises by itself, in our words. Its own texts change between releases.
_BY_STATUS = {
    400: ("bad_request", "The request could not be understood."),
    401: ("invalid_api_key", "invalid api key"),
    403: ("forbidden", "You do not have permission to do this."),
    404: ("not_found", "Not found."),
    405: ("method_not_allowed", "This method is not allowed here."),
    406: ("not_acceptable", "The requested media type is not available."),
    408: ("request_timeout", "The request did not arrive in time."),
    413: ("payload_too_large", "The request body is too large."),
    414: ("uri_too_long", "The address is too long."),
    415: ("unsupported_media_type", "This content type is not supported here."),
    417: ("expectation_failed", "The only expectation that is supported is 100-continue."),
    431: ("headers_too_large", "The request's headers are too large or too many."),
    500: ("internal_error", "Something went wrong on our side. You were not charged."),
    501: ("not_implemented", "This transfer coding is not supported. Send the body chunked or with a Content-Length."),
    503: ("server_busy", "The server is busy. Try again in a moment."),
    507: ("insufficient_storage", "The server has no room for this at the moment. You were not charged."),
}
_RETRY_SECONDS = {503: "5", 507: "60"}
# A full disk, or a full quota of it.
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)

# What pages say of the same, by code: a headline, and a way on. A page of an error that is not here shows its message.
_ON_PAGES: dict[str, tuple[Promise, Promise]] = {
    "bad_request": (
        gettext_lazy("We could not read this request"),
        gettext_lazy("The address or the form is not as it should be. Go back, reload the page and try again."),
    ),
    "forbidden": (
        gettext_lazy("This page is not for you"),
        gettext_lazy("You are logged in with an account that may not see it. Log in with another one, or go on from here."),
    ),
    "csrf_failed": (
        gettext_lazy("This form has expired"),
        gettext_lazy(
            "Your session ended, or the form came from another site. Nothing was changed: reload it and try again."
        ),
    ),
    "not_found": (
        gettext_lazy("There is nothing here"),
        gettext_lazy("The address may be mistyped, or the page has moved. These places are there for sure:"),
    ),
    "method_not_allowed": (
        gettext_lazy("This address cannot be opened like this"),
        gettext_lazy("It is a place that a form is sent to. Go to the page that the form is on and try again."),
    ),
    "too_many_attempts": (
        gettext_lazy("Too many attempts"),
        gettext_lazy("To protect accounts, a few tries in a row are allowed. Wait a few minutes and try again."),
    ),
    "internal_error": (
        gettext_lazy("Something went wrong on our side"),
        gettext_lazy("It was not you, and you were not charged. We have a record of it. Try again in a moment."),
    ),
}
_ON_PAGES["service_unavailable"] = _ON_PAGES["internal_error"]


# Seconds. A database that was restarted is back by then.
RETRY_AFTER_SECONDS = 5


def service_unavailable() -> ApiError:
    """The answer while the database is away or has no connection left for this request."""
    return ApiError(
        503,
        "service_unavailable",
        "The service is not available at the moment. Please try again shortly.",
        headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
    )


def from_status(status: int, headers: Mapping[str, str] | None = None) -> ApiError:
    """The error for a bare HTTP status."""
    code, message = _BY_STATUS.get(status, (f"http_{status}", HTTPStatus(status).phrase))
    retry = {"Retry-After": _RETRY_SECONDS[status]} if status in _RETRY_SECONDS else {}
    return ApiError(status, code, message, headers=retry | dict(headers or {}))


def render_exception(exception: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's exception handler: our errors as they are, the framework's translated, anything else left to fail as a 500."""
    error = _translate(exception)
    if error is None:
        return None
    access_log.note(context["request"], error_code=error.code)
    return Response(error.body(), status=error.status, headers=error.headers, content_type="application/json")


def _translate(exception: Exception) -> ApiError | None:
    if isinstance(exception, ApiError):
        return exception
    if isinstance(exception, Http404):
        return from_status(404)
    if isinstance(exception, PermissionDenied):
        return from_status(403)
    if database.is_outage(exception):
        database.note_outage(exception)
        return service_unavailable()
    if is_full_disk(exception):
        return from_status(507)
    if database.is_refusal(exception):
        logger.error("the database refused a value", exc_info=exception)
        return from_status(400)
    if isinstance(exception, exceptions.APIException):
        headers = {}
        if challenge := getattr(exception, "auth_header", None):
            headers["WWW-Authenticate"] = challenge
        return from_status(exception.status_code, headers)
    return None


def is_full_disk(exception: BaseException) -> bool:
    """Whether there was no room on the disk."""
    return isinstance(exception, OSError) and exception.errno in _NO_ROOM


def is_api(request: HttpRequest) -> bool:
    """Whether the caller of this address expects JSON."""
    return is_api_path(request.path)


def is_api_path(path: str) -> bool:
    """Whether callers of this address expect JSON."""
    return path == "/rmbg" or path.startswith(("/rmbg/", "/api/", "/v1.0/"))


def error_response(request: HttpRequest, error: ApiError) -> HttpResponse:
    """Render an error outside DRF: JSON under the API's addresses, a page elsewhere."""
    access_log.note(request, error_code=error.code)
    return json_response(error) if is_api(request) else _error_page(request, error)


def json_response(error: ApiError) -> JsonResponse:
    """The API's answer, for an address that only scripts ask for."""
    return JsonResponse(error.body(), status=error.status, headers=error.headers)


def _error_page(request: HttpRequest, error: ApiError) -> HttpResponse:
    """In the reader's language. The frame of the page may show the customer, so no cache keeps it."""
    title, advice = _ON_PAGES.get(error.code, (gettext(error.message), ""))
    context = {
        "error": error,
        "title": title,
        "help": advice,
        "request_id": request_id.current.get(),
        "contact": settings.OPERATOR_EMAIL,
    }
    response = render(request, "error.html", context, status=error.status)
    add_never_cache_headers(response)
    for name, value in error.headers.items():
        response.headers[name] = value
    return response


class ApiErrorMiddleware:
    """Renders an `ApiError` that a page raises. (DRF has rendered those of the API by then.)"""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Called by Django for whatever a view raises."""
        if database.is_outage(exception):
            return _without_database(request, exception)
        if is_full_disk(exception):
            exception = from_status(507)
        if database.is_refusal(exception):
            logger.error("the database refused a value", exc_info=exception)
            return _to_a_stranger(request, from_status(400))
        return error_response(request, exception) if isinstance(exception, ApiError) else None


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler400. A host that is not ours is refused before the reader's language is active."""
    with translation.override(_reader_language(request)):
        return error_response(request, from_status(400))


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler403."""
    return error_response(request, from_status(403))


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler404."""
    return error_response(request, from_status(404))


def too_many_attempts(request: HttpRequest) -> HttpResponse:
    """The page for someone who logs in, signs up or asks for mails too often."""
    return error_response(
        request, ApiError(429, "too_many_attempts", "That were too many attempts. Wait a few minutes and try again.")
    )


def server_error(request: HttpRequest) -> HttpResponse:
    """Django's handler500, called while it handles the exception; of a middleware's, too.

    It asks nothing of the database, which may be what is missing: the page is that of a visitor whom nobody knows.
    """
    exception = sys.exception()
    if exception is not None and database.is_outage(exception):
        return _without_database(request, exception)
    if exception is not None and database.is_refusal(exception):
        return _to_a_stranger(request, from_status(400))
    return _to_a_stranger(request, from_status(500))


def _without_database(request: HttpRequest, exception: BaseException) -> HttpResponse:
    database.note_outage(exception)
    return _to_a_stranger(request, service_unavailable())


def _to_a_stranger(request: HttpRequest, error: ApiError) -> HttpResponse:
    """An error whose page needs neither session nor user."""
    request.user = AnonymousUser()
    with translation.override(_reader_language(request)):
        return error_response(request, error)


def _reader_language(request: HttpRequest) -> str:
    return getattr(request, "LANGUAGE_CODE", None) or translation.get_language_from_request(request)


def csrf_failed() -> ApiError:
    """The answer to a form or script that does not carry the session's CSRF token."""
    return ApiError(403, "csrf_failed", "The form has expired or came from another site. Reload the page and try again.")


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """CSRF_FAILURE_VIEW."""
    return error_response(request, csrf_failed())
