"""`GET /v1.0/account`: the balance, with exactly the keys that remove.bg's clients expect."""

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from accounts.authentication import ApiKeyAuthentication
from accounts.caller import get_signed_in
from billing.credits import ledger
from billing.credits.customer_view import CustomerView
from billing.credits.prices import as_number
from billing.membership.balance import CreditsLeft, get_credits
from imaging.compat.openapi import account_schema
from lib.web.errors import ApiError


class AccountView(CustomerView):
    """What is left to the key's owner."""

    authentication_classes = [ApiKeyAuthentication]
    read_methods = frozenset({"GET", "HEAD"})

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Identify the caller and count the read."""
        if "x-api-key" not in request.headers:
            raise ApiError("missing_api_key")
        super().initial(request, *args, **kwargs)

    @account_schema
    def get(self, request: Request) -> Response:
        return Response({"data": {"attributes": describe(get_credits(ledger.get_account(get_signed_in(request))))}})


def describe(left: CreditsLeft) -> dict[str, Any]:
    """The attributes of an account. A key more or less in either object would break the Ruby client."""
    return {
        "credits": {
            "subscription": as_number(left.included),
            "payg": as_number(left.prepaid),
            "enterprise": 0,
            "total": as_number(left.total),
        },
        "api": {"free_calls": left.free_previews, "sizes": "all"},
    }
