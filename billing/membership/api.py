"""`GET /api/membership-usage`."""

from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.authentication import ApiKeyAuthentication
from accounts.caller import get_signed_in
from billing.membership import usage as membership
from billing.membership.openapi import membership_usage_schema
from billing.membership.reads import CountedReadsView


class MembershipUsageView(CountedReadsView):
    """Plan, credits and usage of the key's owner."""

    authentication_classes = [ApiKeyAuthentication]
    permission_classes = [IsAuthenticated]

    @membership_usage_schema
    def get(self, request: Request) -> Response:
        query = membership.parse_query(request.query_params)
        return Response(membership.describe(get_signed_in(request), query), headers={"Cache-Control": "no-store"})
