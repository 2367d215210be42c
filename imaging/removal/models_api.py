"""`GET /api/models`: what the field `model` may name."""

from typing import Any

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from billing.credits.customer_view import CustomerView
from billing.credits.prices import IMAGE, get_price
from billing.credits.serializer_fields import CreditsField
from imaging.core.weights.registry import MODELS, weights_version
from imaging.executor import models, runtime
from lib.web.errors import ApiError, from_status
from lib.web.openapi import errors, response_header
from lib.web.serializer_fields import TextOrNull


class ModelSerializer(serializers.Serializer[Any]):
    """A model that is served."""

    name = serializers.CharField(help_text="For the field `model`.")
    version = TextOrNull(help_text="Of its weights: `name@version` pins it. Null where it is not known.")
    licence = TextOrNull(help_text="Of its weights.")
    commercial_use = serializers.BooleanField(allow_null=True, help_text="Whether that licence allows commercial use.")
    speed = serializers.ChoiceField(["fast", "medium", "slow"], allow_null=True, help_text="Of one picture, roughly.")
    price = CreditsField(help_text="What an image costs with it, in credits.")
    default = serializers.BooleanField(help_text="Whether it is used where no `model` is named.")


class ModelsSerializer(serializers.Serializer[Any]):
    """The models that are served, the default first."""

    models = ModelSerializer(many=True)


_MODELS = ModelsSerializer()


class ModelsView(CustomerView):
    """The models that a request may name. With or without a credential."""

    permission_classes = [AllowAny]
    read_methods = frozenset({"GET", "HEAD"})

    @extend_schema(
        operation_id="listModels",
        summary="The models that a request may name",
        tags=["Images"],
        parameters=[response_header("X-Request-Id", "Unique per request, also in our logs.", [200, 401, 403, 429, 503])],
        responses={
            200: OpenApiResponse(ModelsSerializer, "The models."),
            400: errors("Two credentials at once.", ApiError("two_credentials")),
            401: errors("The key or token is unknown, revoked or expired.", ApiError("invalid_api_key")),
            403: errors("The owner's e-mail address is not verified.", ApiError("email_not_verified")),
            405: errors("Only GET is possible here.", from_status(405)),
            429: errors("Too many requests.", ApiError("rate_limited", retry_after=30)),
            503: errors("The database is away.", ApiError("service_unavailable")),
        },
    )
    def get(self, request: Request) -> Response:
        return Response(_MODELS.to_representation({"models": [_facts(name) for name in runtime.model_names()]}))


def _facts(name: str) -> dict[str, Any]:
    row = MODELS.get(name)
    return {
        "name": name,
        "version": weights_version(name),
        "licence": row.licence if row else "",
        "commercial_use": row.commercial if row else None,
        "speed": row.speed if row else None,
        "price": get_price(IMAGE, name),
        "default": name == models.default_name(),
    }
