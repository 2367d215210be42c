"""A callback as the API tells it."""

from typing import Any

from imaging.models import Callback, CallbackTry


def describe(callback: Callback) -> dict[str, Any]:
    """State and history."""
    return {
        "id": str(callback.pk),
        "state": callback.state,
        "tries": callback.tries,
        "next_try_at": callback.next_try_at if callback.state == Callback.State.PENDING else None,
        "attempts": [_attempt(row) for row in callback.attempts.all()],
    }


def _attempt(row: CallbackTry) -> dict[str, Any]:
    facts = {"status": row.status, "error": row.error or None, "duration_ms": row.duration_ms}
    return {"number": row.number, "at": row.at, **facts}
