"""Pieces of the OpenAPI document that every endpoint shares."""

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse
from rest_framework import serializers

from lib.web.errors import ApiError


class FieldProblemSerializer(serializers.Serializer[object]):
    """One fault of one field."""

    field = serializers.CharField()
    message = serializers.CharField()
    advice = serializers.CharField(required=False, help_text="What to do about it, where that is not obvious.")


class ErrorSerializer(serializers.Serializer[object]):
    """Every error of the API."""

    error = serializers.CharField(help_text="What is wrong, for people.")
    code = serializers.CharField(help_text="What is wrong, for machines. Stable.")
    details = FieldProblemSerializer(
        many=True, required=False, help_text="All field problems, where there are several, or where one has advice."
    )
    status = serializers.IntegerField(help_text="The HTTP status.")


def errors(description: str, *examples: ApiError) -> OpenApiResponse:
    """An error response of one status, with its examples."""
    return OpenApiResponse(
        ErrorSerializer,
        description,
        examples=[
            OpenApiExample(error.message[:80], value=error.body(), response_only=True, media_type="application/json")
            for error in examples
        ],
    )


def response_header(name: str, description: str, statuses: list[int], kind: type = str) -> OpenApiParameter:
    """A header of the answers with these statuses."""
    return OpenApiParameter(
        name, kind, OpenApiParameter.HEADER, description=description, response=[str(status) for status in statuses]
    )
