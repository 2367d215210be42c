"""`GET /api/membership-usage` in the OpenAPI document."""

from collections.abc import Callable
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    OpenApiResponse,
    PolymorphicProxySerializer,
    extend_schema,
)

from billing.membership.serializers import CycleListSerializer, MembershipUsageSerializer
from lib.web.errors import ApiError, field_problem, from_status, validation_error
from lib.web.openapi import errors, response_header

EXAMPLE = {
    "membership": "Premium-20000", "credits": 18500, "prepaidCredits": 2000, "app_usage": 8500, "api_usage": 10000,
    "billingCycle": {
        "periodStartUnix": 1740441600, "periodEndUnix": 1743033599, "appUsage": 4200, "apiUsage": 5100,
        "includedCredits": 18500, "prepaidCredits": 2000, "usedIncludedCredits": 9300, "remainingIncludedCredits": 9200,
        "stripeBillingSynced": True,
    },
}  # fmt: skip
LIST_EXAMPLE = {
    "billingCycles": [{"periodStartUnix": 1740441600, "periodEndUnix": 1743033599, "appUsage": 4200, "apiUsage": 5100}]
}

FLAG = {"type": "string", "enum": ["1", "true"]}
PARAMETERS = [
    OpenApiParameter(
        "year", {"type": "integer", "minimum": 1, "maximum": 9999}, description="UTC calendar year; default: this."
    ),
    OpenApiParameter(
        "month", {"type": "integer", "minimum": 1, "maximum": 12}, description="UTC calendar month; default: this."
    ),
    OpenApiParameter(
        "periodStartUnix",
        {"type": "integer", "minimum": 1},
        description="Usage of the billing window that starts in this second. Not with `year` or `month`.",
    ),
    OpenApiParameter(
        "expand", OpenApiTypes.STR, description="Comma-separated flags. `billing_cycle` adds the `billingCycle` object."
    ),
    OpenApiParameter("includeBillingCycle", FLAG, description="The same as `expand=billing_cycle`."),
    OpenApiParameter(
        "listBillingCycles",
        FLAG,
        description="Answer with the list of billing windows alone; all other parameters are ignored.",
    ),
    response_header("X-Request-Id", "Unique per request, also in our logs.", [200, 400, 401, 403, 405, 429, 500]),
    response_header("WWW-Authenticate", "The credentials that are accepted.", [401]),
    response_header("Retry-After", "Seconds after which to try again.", [429], int),
]
PROBLEMS = [
    field_problem("month", "out_of_range", low=1, high=12, value=13),
    field_problem("year", "invalid_integer", value="abc"),
    field_problem("periodStartUnix", "conflicting_parameters"),
    field_problem("periodStartUnix", "unknown_billing_cycle", start=1),
]
BAD_REQUESTS = [*(validation_error([problem]) for problem in PROBLEMS), validation_error(PROBLEMS[:2])]


DESCRIPTION = """
The figures that `/rmbg` enforces, from the same rows of the same database.

`app_usage` and `api_usage` are included credits used in the UTC calendar month asked for, or in the billing window that
`periodStartUnix` names. Included credits are spent first, then prepaid ones; prepaid credits spent are in neither figure.

Only an API key is accepted. Asking costs nothing; past 600 reads a minute, or ten times your plan's requests per minute if
that is more, it is a 429.
"""


def membership_usage_schema(view: Callable[..., Any]) -> Callable[..., Any]:
    """Document the decorated view."""
    answer = PolymorphicProxySerializer(
        "MembershipUsageAnswer", [MembershipUsageSerializer, CycleListSerializer], resource_type_field_name=None
    )
    return extend_schema(
        operation_id="membershipUsage",
        summary="Plan, credits and usage",
        description=DESCRIPTION,
        tags=["Usage"],
        parameters=PARAMETERS,
        responses={
            200: OpenApiResponse(
                answer,
                "The figures.",
                examples=[OpenApiExample("expanded", EXAMPLE), OpenApiExample("listBillingCycles", LIST_EXAMPLE)],
            ),
            400: errors("A parameter is wrong. All problems are reported at once.", *BAD_REQUESTS),
            401: errors("The key is missing, unknown, revoked or expired.", ApiError("invalid_api_key")),
            403: errors("The owner's e-mail address is not verified.", ApiError("email_not_verified")),
            405: errors("Only GET is possible here.", from_status(405)),
            429: errors("Too many calls in a short time.", ApiError("rate_limited", retry_after=30)),
            500: errors("Our fault.", from_status(500)),
            503: errors("The database is away.", ApiError("service_unavailable")),
        },
    )(view)
