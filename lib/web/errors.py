"""The errors that callers see, and the one place that renders them.

Views raise `ApiError`. Domain code raises its own exceptions; the `errors` module of its app registers the errors that they
become. Under /rmbg, /api/ and /v1.0/ every error, ours or the framework's, becomes JSON: of the API's contract, or of the
shape that is registered for the address (another service's). Anywhere else it becomes a page.
"""

import errno
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, NamedTuple, Protocol, TypeVar

from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import translation
from django.utils.cache import add_never_cache_headers
from django.utils.translation import gettext
from rest_framework import exceptions
from rest_framework.response import Response

from lib.ops import access_log, database, request_id
from lib.web import catalogue

logger = logging.getLogger(__name__)


class ApiError(Exception):
    """An error that is shown to the caller: a row of the catalogue.

    `code` is the row's, `parameters` fill the placeholders of its message. `message` replaces it where the raise site can
    say more, or where the row has none. `details` lists field problems as `{"field": …, "message": …}`; `headers` are added
    to the row's, and `retry_after` is the header of that name, in seconds. Raises KeyError for a code without a row.
    """

    def __init__(
        self,
        code: str,
        *,
        message: str = "",
        details: Sequence[Mapping[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        retry_after: int | None = None,
        **parameters: object,
    ) -> None:
        row = catalogue.ROWS[code]
        self.status = row.status
        self.code = code
        self.message = message or catalogue.message(code, **parameters)
        self.details = list(details)
        # Those of a refused request, for shapes that show the code of each.
        self.problems: Sequence[Problem] = ()
        self.headers = {**row.headers, **(headers or {})}
        if retry_after is not None:
            self.headers["Retry-After"] = str(retry_after)
        super().__init__(self.message)

    def body(self) -> dict[str, Any]:
        """The JSON object of the API's error shape."""
        body: dict[str, Any] = {"error": self.message, "code": self.code}
        if self.details:
            body["details"] = self.details
        return body | {"status": self.status}


class Problem(Protocol):
    """What is wrong with one field. The image core has a separate class for it."""

    @property
    def field(self) -> str: ...
    @property
    def code(self) -> str: ...
    @property
    def message(self) -> str: ...


class FieldProblem(NamedTuple):
    """One problem of one field, worded by the catalogue."""

    field: str
    code: str
    message: str


def field_problem(field: str, code: str, **parameters: object) -> FieldProblem:
    """The problem `code` of `field`. `parameters` fill the placeholders of its message, which may name the field."""
    return FieldProblem(field, code, catalogue.message(code, field=field, **parameters))


def validation_error(problems: Sequence[Problem]) -> ApiError:
    """One 400 for all problems of a request; a single problem supplies the message itself, and details if it has advice."""
    details = [_detail(problem) for problem in problems]
    if len(problems) == 1:
        shown = details if "advice" in details[0] else ()
        error = ApiError(problems[0].code, message=problems[0].message, details=shown)
    else:
        error = ApiError("validation_error", details=details)
    error.problems = tuple(problems)
    return error


def _detail(problem: Problem) -> dict[str, str]:
    detail = {"field": problem.field, "message": problem.message}
    # The image core's problems alone have one.
    advice = getattr(problem, "advice", "")
    return {**detail, "advice": advice} if advice else detail


# A full disk, or an exhausted quota.
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


def from_status(status: int, headers: Mapping[str, str] | None = None) -> ApiError:
    """The error for a bare HTTP status, even one without a row: `http_418`."""
    code = catalogue.DEFAULTS.get(status)
    if code is not None:
        return ApiError(code, headers=headers)
    error = ApiError("bad_request", message=HTTPStatus(status).phrase, headers=headers)
    error.status, error.code = status, f"http_{status}"
    return error


class Shaped(NamedTuple):
    """An error as it is sent."""

    status: int
    headers: Mapping[str, str]
    body: Mapping[str, Any]


_shapes: dict[str, Callable[[ApiError], Shaped]] = {}


def register_shape(prefix: str, shape: Callable[[ApiError], Shaped]) -> None:
    """How errors look under the addresses that begin with `prefix`, whatever raises them."""
    _shapes[prefix] = shape


def shaped(error: ApiError, path: str) -> Shaped:
    """`error` as it is sent to callers of `path`."""
    shape = next((shape for prefix, shape in _shapes.items() if path.startswith(prefix)), None)
    return shape(error) if shape else Shaped(error.status, error.headers, error.body())


class ErrorResponse(Response):
    """An error that a view answers. `error_code` is the catalogue's, whatever the shape of the body."""

    error_code = ""


def render_exception(exception: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's exception handler: our errors unchanged, the framework's translated, anything else left to fail as a 500."""
    error = _translate(exception)
    if error is None:
        return None
    access_log.note(context["request"], error_code=error.code)
    status, headers, body = shaped(error, context["request"].path)
    response = ErrorResponse(body, status=status, headers=dict(headers), content_type="application/json")
    response.error_code = error.code
    return response


Raised = TypeVar("Raised", bound=Exception)
_translations: dict[type[Exception], Callable[[Any], ApiError]] = {}


def register_translation(kind: type[Raised], translate: Callable[[Raised], ApiError]) -> None:
    """The error that a view answers when the domain raises an exception of `kind`."""
    _translations[kind] = translate


def find_translation(exception: Exception) -> ApiError | None:
    """`exception` itself if it is an ApiError, or what its kind is registered for."""
    if isinstance(exception, ApiError):
        return exception
    return next((translate(exception) for kind, translate in _translations.items() if isinstance(exception, kind)), None)


def get_translation(exception: Exception) -> ApiError:
    """The same, for code that shows or keeps an error's text itself. Raises `exception` if it has no translation."""
    error = find_translation(exception)
    if error is None:
        raise exception
    return error


class Reason(NamedTuple):
    """Why something was refused, as a row stores it or a page shows it: without a status."""

    code: str
    message: str


def get_reason(exception: Exception) -> Reason:
    """The code and message of what a view would answer for `exception`. Raises `exception` if it has no translation."""
    error = get_translation(exception)
    return Reason(error.code, error.message)


def _translate(exception: Exception) -> ApiError | None:
    if (error := find_translation(exception)) is not None:
        return error
    if isinstance(exception, Http404):
        return from_status(404)
    if isinstance(exception, PermissionDenied):
        return from_status(403)
    if database.is_outage(exception):
        database.note_outage(exception)
        return ApiError("service_unavailable")
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
    """Whether the disk was full."""
    return isinstance(exception, OSError) and exception.errno in _DISK_FULL


def is_api(request: HttpRequest) -> bool:
    """Whether the caller of this address expects JSON."""
    return is_api_path(request.path)


def is_api_path(path: str) -> bool:
    """Whether callers of this address expect JSON."""
    return path == "/rmbg" or path.startswith(("/rmbg/", "/api/", "/v1.0/"))


def error_response(request: HttpRequest, error: ApiError) -> HttpResponse:
    """Render an error outside DRF: JSON under the API's addresses, a page elsewhere."""
    access_log.note(request, error_code=error.code)
    return json_response(error, request.path) if is_api(request) else _error_page(request, error)


def json_response(error: ApiError, path: str = "") -> JsonResponse:
    """The API's response, for an address that only scripts request."""
    status, headers, body = shaped(error, path)
    return JsonResponse(body, status=status, headers=headers)


def _error_page(request: HttpRequest, error: ApiError) -> HttpResponse:
    """The page, in the reader's language. Its frame may show the customer, so no cache may keep it."""
    row = catalogue.ROWS.get(error.code)
    page = row.page if row else None
    context = {
        "error": error,
        "title": page.title if page else gettext(error.message),
        "help": page.help if page else "",
        "request_id": request_id.current.get(),
    }
    response = render(request, "error.html", context, status=error.status)
    add_never_cache_headers(response)
    for name, value in error.headers.items():
        response.headers[name] = value
    return response


class ApiErrorMiddleware:
    """Renders what a page raises and a caller may see. (DRF has already rendered the API's errors.)"""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Called by Django for any exception of a view."""
        if database.is_outage(exception):
            return _without_database(request, exception)
        if is_full_disk(exception):
            exception = from_status(507)
        if database.is_refusal(exception):
            logger.error("the database refused a value", exc_info=exception)
            return _anonymous_error_response(request, from_status(400))
        error = find_translation(exception)
        return None if error is None else error_response(request, error)


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
    """The page for visitors who log in, sign up or request mails too often."""
    return error_response(request, ApiError("too_many_attempts"))


def server_error(request: HttpRequest) -> HttpResponse:
    """Django's handler500, called while the exception is handled; also for a middleware's.

    It makes no query, since the database may be what failed: the page is that of an anonymous visitor.
    """
    exception = sys.exception()
    if exception is not None and database.is_outage(exception):
        return _without_database(request, exception)
    if exception is not None and database.is_refusal(exception):
        return _anonymous_error_response(request, from_status(400))
    return _anonymous_error_response(request, from_status(500))


def _without_database(request: HttpRequest, exception: BaseException) -> HttpResponse:
    database.note_outage(exception)
    return _anonymous_error_response(request, ApiError("service_unavailable"))


def _anonymous_error_response(request: HttpRequest, error: ApiError) -> HttpResponse:
    """An error whose page needs neither session nor user."""
    request.user = AnonymousUser()
    with translation.override(_reader_language(request)):
        return error_response(request, error)


def _reader_language(request: HttpRequest) -> str:
    return getattr(request, "LANGUAGE_CODE", None) or translation.get_language_from_request(request)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """CSRF_FAILURE_VIEW."""
    return error_response(request, ApiError("csrf_failed"))
