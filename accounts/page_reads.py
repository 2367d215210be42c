"""How often one visitor may request pages: a generous limit, so that only programs ever reach it.

Calls of the API that carry a key or token count by account, where they are answered: see `billing.credits.customer_view`.
"""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from lib.brand import FILES
from lib.web import rate_limits
from lib.web.client_address import client_address
from lib.web.errors import ApiError, error_response

# Probes, addresses with their own limits, and files. Static ones have been answered by now.
_UNCOUNTED = ("/healthz", "/readyz", "/metrics", "/rmbg", "/api/batches", "/api/membership-usage", "/api/stripe/", FILES)


class PageReadsMiddleware:
    """Answers 429 `rate_limited` past READS_PER_MINUTE requests of one user, or of one address without a log-in."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Count the request, and pass it on."""
        if not request.path.startswith(_UNCOUNTED):
            try:
                wait = rate_limits.count_widely(_subject(request), settings.READS_PER_MINUTE)
            except ApiError as error:
                return error_response(request, error)
            if wait:
                return error_response(request, ApiError("rate_limited", retry_after=wait))
        return self.get_response(request)


def _subject(request: HttpRequest) -> str:
    # Without the cookie there is no log-in, so the session need not be read.
    if settings.SESSION_COOKIE_NAME in request.COOKIES and request.user.is_authenticated:
        return f"pages:user:{request.user.pk}"
    return f"pages:address:{client_address(request)}"
