"""A callback as the API shows it: state and history."""

from typing import Any

from rest_framework import serializers

from imaging.models import Callback
from lib.web.serializer_fields import TextOrNull


class BatchCallbackTrySerializer(serializers.Serializer[Any]):
    """One try to deliver the callback."""

    number = serializers.IntegerField(help_text="From 1. One that is missing was cut off on our side.")
    at = serializers.DateTimeField(help_text="When it began.")
    status = serializers.IntegerField(allow_null=True, help_text="HTTP status of the answer; null if none came.")
    error = TextOrNull(help_text="Why none came.")
    duration_ms = serializers.IntegerField()


class BatchCallbackSerializer(serializers.Serializer[Any]):
    """What became of the callback."""

    id = serializers.UUIDField(help_text="The `webhook-id` of every try.")
    state = serializers.ChoiceField(Callback.State.choices, help_text="`failed`: given up.")
    tries = serializers.IntegerField(help_text="How often it was tried, a try that is under way included.")
    next_try_at = serializers.DateTimeField(source="due_at", allow_null=True)
    attempts = BatchCallbackTrySerializer(many=True)


# Made once: an instance copies all its fields, which takes longer than reading them.
CALLBACK = BatchCallbackSerializer()
