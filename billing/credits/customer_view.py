"""The base view of the customer API: it identifies the caller of each call, counts the call, and applies the limits."""

from typing import Any, ClassVar

from django.conf import settings
from django.db import DatabaseError, InterfaceError
from rest_framework.exceptions import NotAuthenticated
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.authentication import ApiKeyAuthentication, UserTokenAuthentication
from accounts.caller import Caller, identify
from billing.credits import admission
from billing.credits.admission import Customer
from billing.models import Account
from lib.ops import database
from lib.web import rate_limits
from lib.web.api_view import ApiView
from lib.web.errors import ApiError

# Not worth another wait for the database.
UNAVAILABLE = ApiError("service_unavailable")
# Multiple of the plan's requests per minute. A client polls a batch more often than it creates one.
READS_PER_REQUEST = 10


class CustomerView(ApiView):
    """An endpoint for keys and user tokens.

    Each call counts against the requests per minute of the caller's plan, whatever its method, and its answer shows how the
    limits stand. The methods in `read_methods` are cheap: they count as reads instead, against the wider READS_PER_MINUTE.
    `customer` is set for calls that count as requests, as soon as the caller is known.
    """

    authentication_classes = [ApiKeyAuthentication, UserTokenAuthentication]
    permission_classes = [IsAuthenticated]
    read_methods: ClassVar[frozenset[str]] = frozenset()
    customer: Customer | None = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Identify the caller and count the call. Raises ApiError 429 `rate_limited`, and what identification raises."""
        super().initial(request, *args, **kwargs)
        caller = identify(request)
        if request.method in self.read_methods:
            count_read(caller)
        else:
            self.customer = admission.get_customer(caller)
            self.count(self.customer)

    def count(self, customer: Customer) -> None:
        """Count a call that is no read. Raises ApiError 429 `rate_limited`."""
        rate_limits.count_request(customer.policy)

    def limit_headers(self, customer: Customer, answer: Response) -> dict[str, str]:
        """The headers that show how the limits stand. May raise a database's error."""
        return customer.rate_limit_headers()

    def get_customer(self) -> Customer:
        """The caller and its limits. Raises NotAuthenticated in a call that counts as a read, which does not load them."""
        if self.customer is None:
            raise NotAuthenticated
        return self.customer

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Response:
        """Add the rate limit headers, on success and on error."""
        final = super().finalize_response(request, response, *args, **kwargs)
        if self.customer is not None:
            for name, value in self._limits(self.customer, final).items():
                final.headers[name] = value
        return final

    def _limits(self, customer: Customer, answer: Response) -> dict[str, str]:
        """The rate limit headers. A finished response must not fail because they cannot be read."""
        if answer.status_code == UNAVAILABLE.status and getattr(answer, "data", None) == UNAVAILABLE.body():
            return {}
        try:
            return self.limit_headers(customer, answer)
        except (DatabaseError, InterfaceError) as error:
            database.note_outage(error)
            return {}


def count_read(caller: Caller) -> None:
    """Count one read of an account, or of an anonymous caller's address.

    Raises ApiError 429 `rate_limited` past READS_PER_MINUTE, or past READS_PER_REQUEST times the plan's requests per minute
    if that is more.
    """
    subject = caller.user.pk if caller.user else f"address:{caller.address}"
    wait = rate_limits.count_widely(f"reads:{subject}", settings.READS_PER_MINUTE)
    # The plan is read only for an account past the first limit. What it allows on top has a separate counter.
    if wait and caller.user:
        plan = Account.objects.filter(user=caller.user).values_list("plan__requests_per_minute", flat=True).first() or 0
        more = READS_PER_REQUEST * plan - settings.READS_PER_MINUTE
        wait = rate_limits.count_widely(f"more-reads:{subject}", more) if more > 0 else wait
    if wait:
        raise ApiError("rate_limited", retry_after=max(1, wait))
