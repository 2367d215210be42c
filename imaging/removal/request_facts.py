"""Records an answered call of `/rmbg`: the caller, the outcome, and the time it took."""

from http import HTTPStatus
from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from accounts.caller import Channel, claimed_channel
from billing.credits.admission import Customer
from billing.dashboard import request_log
from imaging import metrics
from imaging.executor.orders import Delivery
from lib.ops import tracing
from lib.web.api_view import get_request_id

CRASHED = {"status": 500, "code": "internal_error"}


def note(
    request: HttpRequest,
    response: HttpResponseBase | None,
    customer: Customer | None,
    delivery: Delivery | None,
    seconds: float,
) -> None:
    """Record and count one call. `response` is None after a crash, `customer` for a caller who could not be identified.

    A caller finally refused as unknown is recorded as unknown: the account may have been deleted meanwhile.
    """
    if response is not None and response.status_code == HTTPStatus.UNAUTHORIZED:
        customer = None
    if delivery is not None:
        metrics.note_delivery(delivery.queued, delivery.cutout.timings)
        steps = {"queue": delivery.queued, **delivery.cutout.timings}
        tracing.note_steps(steps, **{"rembg.model": delivery.cutout.model})
    request_log.log.add(
        **_who(request, customer),
        **_outcome(response),
        **_work(delivery),
        request_id=get_request_id(request),
        duration_ms=round(seconds * 1000),
    )


def _who(request: HttpRequest, customer: Customer | None) -> dict[str, Any]:
    if customer is None:
        channel: Channel = claimed_channel(request)
        return {"channel": channel}
    caller, account = customer.caller, customer.account
    return {
        "channel": caller.channel,
        "account_id": account.pk if account else None,
        "key_id": caller.key.pk if caller.key else None,
    }


def _outcome(response: HttpResponseBase | None) -> dict[str, Any]:
    if response is None:
        return CRASHED
    told = getattr(response, "data", None)
    code = told.get("code", "") if isinstance(told, dict) else ""
    credits = int(response.headers.get("X-Credits-Charged", 0))
    return {"status": response.status_code, "code": code, "credits": credits}


def _work(delivery: Delivery | None) -> dict[str, Any]:
    if delivery is None:
        return {}
    inference = delivery.cutout.timings.get("inference", 0.0)
    return {
        "queue_ms": round(delivery.queued * 1000),
        "inference_ms": round(inference * 1000),
        "model": delivery.cutout.model,
    }
