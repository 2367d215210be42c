"""What all our API views share."""

from collections.abc import Iterable

from django.http import HttpRequest
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from lib.ops import request_id


class FixedNegotiation(BaseContentNegotiation):
    """Ignores the Accept header: a client that wants `image/*` still gets JSON errors."""

    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> BaseParser | None:
        return next(iter(parsers), None)

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        renderer = next(iter(renderers))
        return renderer, renderer.media_type or "application/json"


class ApiView(APIView):
    """An endpoint with our errors and without content negotiation or DRF's self-description on OPTIONS."""

    content_negotiation_class = FixedNegotiation
    http_method_names = ["get", "post", "put", "patch", "delete", "head"]


def get_request_id(request: HttpRequest | Request) -> str:
    """The id of the request being served."""
    return request_id.current.get()
