"""Refusals, in the shape that Stripe's SDKs parse."""

from typing import Any


class Refused(Exception):
    """An answer other than 200, raised anywhere below the router."""

    def __init__(
        self, message: str, *, status: int = 400, type: str = "invalid_request_error", **details: str | None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.error: dict[str, Any] = {"type": type, "message": message}
        self.error.update({name: value for name, value in details.items() if value is not None})

    @property
    def body(self) -> dict[str, Any]:
        return {"error": self.error}


def missing(kind: str, id: str, param: str = "id") -> Refused:
    """Stripe's 404 where the path names the object, its 400 where a parameter does."""
    status = 404 if param == "id" else 400
    return Refused(f"No such {kind}: '{id}'", status=status, code="resource_missing", param=param)


def declined(**details: str | None) -> Refused:
    """The bank declined."""
    return Refused(
        "Your card was declined.",
        status=402,
        type="card_error",
        code="card_declined",
        decline_code="generic_decline",
        **details,
    )
