"""Response fields that serializers of more than one app use."""

from typing import Any

from rest_framework import serializers


class TextOrNull(serializers.CharField):
    """A text; null where the column is empty."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_null=True, **options)

    def to_representation(self, value: Any) -> str | None:  # type: ignore[override]
        return super().to_representation(value) if value else None


class NumberOrNull(serializers.IntegerField):
    """A whole number; null where the column is 0."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_null=True, **options)

    def to_representation(self, value: Any) -> int | None:  # type: ignore[override]
        return super().to_representation(value) if value else None
