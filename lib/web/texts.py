"""Characters that no text from outside may contain: PostgreSQL stores no NUL, and UTF-8 has no half of a surrogate pair."""

import re
from collections.abc import Callable, Iterable
from typing import Any

from django.http import HttpRequest, HttpResponse, QueryDict

from lib.web.errors import bad_request

UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")


def storable(text: str, length: int) -> str:
    """A text that is only for display, made to fit its column: without unstorable characters, cut to `length` characters."""
    return UNSTORABLE.sub("", text)[:length]


def is_storable(text: str, length: int) -> bool:
    """Whether a text fits unchanged into a column of `length` characters."""
    return len(text) <= length and UNSTORABLE.search(text) is None


class UnstorableTextMiddleware:
    """Refuses such a character in a path or query string with a 400, before anything is looked up with it.

    A cookie that contains one is dropped: it is not ours.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if _is_bad([request.path]) or _is_bad(_texts(request.GET)):
            return bad_request(request, ValueError())
        for name in [name for name, value in request.COOKIES.items() if _is_bad([name, value])]:
            del request.COOKIES[name]
        return self.get_response(request)


class UnstorableFormMiddleware:
    """Refuses such a character in the form of a page with a 400. It comes after the CSRF check, which reads the form.

    The code that parses the forms of `/rmbg`, batches and webhooks checks them itself.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: Any, *arguments: Any) -> HttpResponse | None:
        """Called by Django before the view."""
        if request.method != "POST" or getattr(view, "csrf_exempt", False):
            return None
        return bad_request(request, ValueError()) if _is_bad(_texts(request.POST)) else None


def _is_bad(texts: Iterable[str]) -> bool:
    return any(UNSTORABLE.search(text) for text in texts)


def _texts(query: QueryDict) -> Iterable[str]:
    for name, values in query.lists():
        yield name
        yield from (value for value in values if isinstance(value, str))
