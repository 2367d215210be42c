"""`GET /v1.0/account`: the balance, with exactly the keys that remove.bg's clients expect."""

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from accounts.caller import get_signed_in
from billing.credits import ledger
from billing.credits.prices import as_number
from billing.membership.balance import CreditsLeft, get_credits
from imaging.compat.api import KeyView
from imaging.compat.openapi import account_schema


class AccountView(KeyView):
    """What is left to the key's owner."""

    read_methods = frozenset({"GET", "HEAD"})

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
