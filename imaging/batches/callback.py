"""Where batches meet callbacks: the address that a customer gives, and the moment to call it."""

from typing import Any

from django.conf import settings

from config import outbound
from imaging.core.problems import Problem
from imaging.models import Batch

FIELD = "callback_url"
# What the column holds.
MAX_URL = 2048


def find_problem(url: str) -> Problem | None:
    """What is wrong with the address as far as can be told without a connection."""
    if len(url) > MAX_URL:
        return invalid(f"it is longer than {MAX_URL} characters")
    try:
        outbound.parse(url, settings.IMAGE_URL_PORTS)
    except outbound.ForbiddenTarget as error:
        return forbidden(error.reason)
    except outbound.OutboundError as error:
        return invalid(error.reason)
    return None


def invalid(reason: str) -> Problem:
    """The address is not one that could be called."""
    return Problem(FIELD, "callback_url_invalid", f"'callback_url' is not an address that can be called: {reason}.")


def forbidden(reason: str) -> Problem:
    """The address leads to where no request of a customer may go."""
    return Problem(FIELD, "callback_url_forbidden", f"'callback_url' may not be called: {reason}.")


def batch_ended(batch: Batch) -> None:
    """The batch has just become finished or cancelled. Called once for each, inside the transaction in which it did."""


def describe(batch: Batch) -> dict[str, Any] | None:
    """What the API tells of the callback; None where there is none."""
    return None
