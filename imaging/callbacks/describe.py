"""A callback as the API tells it."""

from typing import Any

from rest_framework import serializers

from imaging.models import Callback, CallbackTry


class AttemptSerializer(serializers.Serializer[object]):
    """One try."""

    number = serializers.IntegerField(help_text="From 1. One that is missing was cut off on our side.")
    at = serializers.DateTimeField(help_text="When it began.")
    status = serializers.IntegerField(allow_null=True, help_text="The HTTP status of your server's answer.")
    error = serializers.CharField(allow_null=True, help_text="Why there was no answer.")
    duration_ms = serializers.IntegerField()


class CallbackSerializer(serializers.Serializer[object]):
    """How the news of a batch's end fares."""

    id = serializers.UUIDField(help_text="The `webhook-id` of every try.")
    state = serializers.ChoiceField(Callback.State.values, help_text="`failed`: given up.")
    tries = serializers.IntegerField(help_text="How often it was tried, a try that is under way included.")
    next_try_at = serializers.DateTimeField(allow_null=True)
    attempts = AttemptSerializer(many=True, help_text="Every try, the first one first.")


def describe(callback: Callback) -> dict[str, Any]:
    """State and history."""
    return {
        "id": str(callback.pk),
        "state": callback.state,
        "tries": callback.tries,
        "next_try_at": callback.next_try_at if callback.state == Callback.State.PENDING else None,
        "attempts": [_attempt(row) for row in callback.attempts.order_by("number")],
    }


def _attempt(row: CallbackTry) -> dict[str, Any]:
    facts = {"status": row.status, "error": row.error or None, "duration_ms": row.duration_ms}
    return {"number": row.number, "at": row.at, **facts}
