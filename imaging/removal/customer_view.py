"""What the calls that cost credits share: who pays, and how the caller's limits stand."""

from typing import Any

from django.db import DatabaseError, InterfaceError
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.authentication import ApiKeyAuthentication, UserTokenAuthentication
from billing.credits.admission import Customer
from billing.credits.idempotency import check_key
from billing.membership.reads import CountedReadsView
from lib.ops import database
from lib.web.errors import ApiError

# Not worth another wait for the database.
UNAVAILABLE = ApiError("service_unavailable")


class CustomerView(CountedReadsView):
    """An endpoint for keys and user tokens. `customer` is set as soon as the caller is known."""

    authentication_classes = [ApiKeyAuthentication, UserTokenAuthentication]
    customer: Customer | None = None

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Response:
        """Tell every caller whom we know, on success and on error, how the limits stand."""
        final = super().finalize_response(request, response, *args, **kwargs)
        if self.customer is not None:
            for name, value in self._limits(self.customer, final).items():
                final.headers[name] = value
        return final

    def _limits(self, customer: Customer, answer: Response) -> dict[str, str]:
        """An answer that is made already does not fail for want of these headers."""
        if answer.status_code == UNAVAILABLE.status and getattr(answer, "data", None) == UNAVAILABLE.body():
            return {}
        try:
            return customer.rate_limit_headers()
        except (DatabaseError, InterfaceError) as error:
            database.note_outage(error)
            return {}


def find_retry_key(request: Request) -> str | None:
    """The caller's `Idempotency-Key`, if there is one. Raises ApiError 400 for an unusable one."""
    key = request.headers.get("Idempotency-Key")
    return None if key is None else check_key(key)
