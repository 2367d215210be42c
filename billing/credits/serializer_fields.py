"""Amounts of credits in JSON."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from billing.credits.prices import as_number


@extend_schema_field({"type": "number"})
class CreditsField(serializers.Field[Any, Any, Any, Any]):
    """An amount in hundredths, sent in credits: an integer unless there is a fraction."""

    def to_representation(self, value: int) -> int | float:
        return as_number(value)
