"""`GET /api/membership-usage`."""

from rest_framework.request import Request
from rest_framework.response import Response

from accounts.authentication import ApiKeyAuthentication
from accounts.caller import get_signed_in
from billing.credits.customer_view import CustomerView
from billing.membership import usage as membership
from billing.membership.openapi import membership_usage_schema
from billing.membership.serializers import CYCLES, USAGE


class MembershipUsageView(CustomerView):
    """Plan, credits and usage of the key's owner."""

    authentication_classes = [ApiKeyAuthentication]
    read_methods = frozenset({"GET", "HEAD"})

    @membership_usage_schema
    def get(self, request: Request) -> Response:
        query, user = membership.parse_query(request.query_params), get_signed_in(request)
        if query.list_cycles:
            account, _ = membership.read(user)
            body = CYCLES.to_representation({"billingCycles": membership.list_cycles(account)})
        else:
            body = USAGE.to_representation(membership.get_usage(user, query))
        return Response(body, headers={"Cache-Control": "no-store"})
