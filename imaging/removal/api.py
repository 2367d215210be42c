"""`POST /rmbg`: the view, its response, and its record of each call.

A result that the caller does not read at once waits on disk, and keeps the caller's place.
"""

import io
import re
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePosixPath
from tempfile import TemporaryFile
from typing import Any, BinaryIO, ClassVar, cast

from django.http import FileResponse, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.http import content_disposition_header
from rest_framework.permissions import AllowAny
from rest_framework.request import Request

from accounts.caller import Channel, claimed_channel
from billing.credits import admission
from billing.credits.admission import Customer
from billing.credits.customer_view import CustomerView
from billing.credits.idempotency import Retry, find_retry_key
from billing.credits.prices import format_credits, parse_credits
from billing.dashboard import request_log
from imaging import metrics
from imaging.core.pipeline import Cutout
from imaging.core.problems import CallerGone
from imaging.executor import models
from imaging.executor.fair_queue import Rank, Requester
from imaging.executor.jobs import QUEUE, Job
from imaging.removal import cutouts
from imaging.removal.forms import Form, FormParser, get_form, raise_refusal
from imaging.removal.openapi import rmbg_schema
from lib.ops import tracing
from lib.web import rate_limits
from lib.web.api_view import get_request_id
from lib.web.errors import ApiError
from lib.web.rate_limits import Place
from lib.web.server import budgets

UNSAFE_IN_NAMES = re.compile(r"[\x00-\x1f\x7f]")
MAX_STEM = 100
# Up to this size a result may stay in the server's memory.
MEMORY_BYTES = 256 * 1024
CRASHED = {"status": 500, "code": "internal_error"}


class RecordedView(CustomerView):
    """An endpoint that works on images: each call of it is recorded. `endpoint` is its name in the records."""

    endpoint: ClassVar[str] = "rmbg"
    cutout: Cutout | None = None
    started = 0.0

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Record every answered call, including crashes, for the customer's dashboard."""
        self.started = time.perf_counter()
        response = None
        try:
            response = super().dispatch(request, *args, **kwargs)
            return response
        finally:
            if request.method == "POST":
                seconds = time.perf_counter() - self.started
                note_call(request, response, self.customer, self.cutout, seconds, self.endpoint)
            # The view and its request reference each other: the result would stay in memory until the next garbage
            # collection.
            self.cutout = None


class RemoveBackgroundView(RecordedView):
    """Removes the background of one image. The answer is the image itself."""

    permission_classes = [AllowAny]
    parser_classes = [FormParser]

    @rmbg_schema
    def post(self, request: Request) -> HttpResponseBase:
        customer = self.get_customer()
        rate_limits.check_failures(customer.policy)
        retry_key = find_retry_key(request)
        raise_refusal(request)
        with rate_limits.concurrent_place(customer.policy) as place, get_form(request, Form) as form:
            rank = Rank.ANONYMOUS if customer.account is None else Rank.CUSTOMER
            job = cutouts.check_form(form, Requester(customer.policy.subject, rank))
            check_room(place)
            retry = Retry(retry_key, cutouts.fingerprint(job)) if retry_key else None
            # The response is built inside, so no one pays for one that could not be built.
            model = models.name_of(job.options.model)
            with admission.charged(customer, get_request_id(request), retry, model=model) as credits:
                self.cutout = cutout = cut_out(request, customer, job)
                timings = {**cutout.timings, "total": time.perf_counter() - self.started}
                headers = cutout_headers(cutout, name=job.name, credits=credits, timings=timings)
                return respond(cutout.content, cutout.size, headers, place)


def cut_out(request: Request, customer: Customer, job: Job) -> Cutout:
    """The cutout of `job`. Raises ApiError for a caller who has gone, and what `cutouts.remove_background` raises."""
    try:
        return cutouts.remove_background(job, customer.policy, still_wanted=_find_still_wanted(request))
    except CallerGone as gone:
        # Only the log sees this response. 499 is nginx's status for it.
        raise ApiError("caller_gone") from gone


def _find_still_wanted(request: HttpRequest) -> Callable[[], bool] | None:
    """A check whether the caller still waits, if the web server knows (waitress does)."""
    is_gone = request.META.get("waitress.client_disconnected")
    return None if is_gone is None else lambda: not is_gone()


def cutout_headers(cutout: Cutout, *, name: str, credits: int, timings: Mapping[str, float]) -> dict[str, str]:
    """The headers that describe a cutout. `credits` are in hundredths; `timings` are in seconds, sent in milliseconds."""
    filename = f"{stem(name)}-no-bg.{cutout.extension}"
    return {
        "Content-Type": cutout.media_type,
        "Content-Length": str(cutout.size),
        "Content-Disposition": content_disposition_header(as_attachment=False, filename=filename) or "inline",
        "Cache-Control": "no-store",
        "X-Width": str(cutout.width),
        "X-Height": str(cutout.height),
        **foreground_headers(cutout.foreground),
        "X-Credits-Charged": format_credits(credits),
        "X-Model": cutout.model,
        **confidence_header(cutout.confidence),
        "Server-Timing": ", ".join(f"{step};dur={seconds * 1000:.1f}" for step, seconds in timings.items()),
    }


def foreground_headers(foreground: Sequence[int]) -> dict[str, str]:
    """The headers with the subject's box: left, top, width and height."""
    sides = zip(("Left", "Top", "Width", "Height"), foreground, strict=True)
    return {f"X-Foreground-{side}": str(pixels) for side, pixels in sides}


def confidence_header(confidence: float | None) -> dict[str, str]:
    """The header with a confidence, 0-1, unless a worker of the release before sent none."""
    return {} if confidence is None else {"X-Confidence": f"{confidence:.3f}"}


def stem(name: str) -> str:
    """The file name without folders and extension, safe to send back; `image` if nothing is left."""
    base = PurePosixPath(UNSAFE_IN_NAMES.sub("", name).replace("\\", "/")).name
    return PurePosixPath(base).stem.strip(". ")[:MAX_STEM] or "image"


def check_room(place: Place) -> None:
    """Raise ApiError 503 while the unread results of the caller, or of all callers, fill their space: before any charge."""
    if not budgets.results().has_room(place.subject):
        raise _too_many_unread()


def respond(content: BinaryIO, size: int, headers: Mapping[str, str], place: Place) -> HttpResponseBase:
    """The answer with a result, open at its start. A large one keeps `place`, and its bytes count, until it is sent or the
    caller is gone.

    Raises ApiError 503 if there is no space for it, OSError when the disk is full.
    """
    if size <= MEMORY_BYTES:
        return HttpResponse(content.read(), headers=dict(headers))
    budget = budgets.results()
    if not budget.take(place.subject, size):
        raise _too_many_unread()
    # The response may never be sent: in any case each of these runs once, at the latest when the file is closed.
    try:
        # The server closes it after sending.
        file = _on_disk(content)
    except BaseException:
        budget.give_back(place.subject, size)
        raise
    ends = [weakref.finalize(file, budget.give_back, place.subject, size), weakref.finalize(file, place.leave_soon)]
    place.keep()
    others = {name: value for name, value in headers.items() if name != "Content-Type"}
    response = FileResponse(file, content_type=headers["Content-Type"], headers=others)
    response._resource_closers += ends  # type: ignore[attr-defined]  # untyped; Django's only hook for the end of an answer
    return response


def _on_disk(content: BinaryIO) -> BinaryIO:
    """`content`, if it is already on disk; else a copy."""
    if not isinstance(content, io.BytesIO):
        return content
    file = cast(BinaryIO, TemporaryFile())  # noqa: SIM115 - returned
    try:
        file.write(content.getbuffer())
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return file


def _too_many_unread() -> ApiError:
    text = "Too many results have not been read yet. Read them, or try again in a few seconds."
    return ApiError("server_busy", message=text)


def note_call(
    request: HttpRequest,
    response: HttpResponseBase | None,
    customer: Customer | None,
    cutout: Cutout | None,
    seconds: float,
    endpoint: str = "rmbg",
) -> None:
    """Record and count one call: the caller, the outcome, and the time it took.

    `response` is None after a crash, `customer` for a caller who could not be identified. A caller finally refused as
    unknown is recorded as unknown: the account may have been deleted meanwhile.
    """
    if getattr(response, "error_code", "") == "invalid_api_key":
        customer = None
    if cutout is not None:
        metrics.note_delivery(cutout.timings)
        tracing.note_steps(cutout.timings, **{"rembg.model": cutout.model})
    request_log.log.add(
        **_caller_facts(request, customer),
        **_response_facts(response),
        **_cutout_facts(cutout),
        endpoint=endpoint,
        request_id=get_request_id(request),
        duration_ms=round(seconds * 1000),
    )


def _caller_facts(request: HttpRequest, customer: Customer | None) -> dict[str, Any]:
    if customer is None:
        channel: Channel = claimed_channel(request)
        return {"channel": channel}
    caller, account = customer.caller, customer.account
    return {
        "channel": caller.channel,
        "account_id": account.pk if account else None,
        "key_id": caller.key.pk if caller.key else None,
    }


def _response_facts(response: HttpResponseBase | None) -> dict[str, Any]:
    if response is None:
        return CRASHED
    code = getattr(response, "error_code", "")
    charged = parse_credits(response.headers.get("X-Credits-Charged", "0"))
    return {"status": response.status_code, "code": code, "charged": charged}


def _cutout_facts(cutout: Cutout | None) -> dict[str, Any]:
    if cutout is None:
        return {}
    return {
        "queue_ms": round(cutout.timings[QUEUE] * 1000),
        "inference_ms": round(cutout.timings.get("inference", 0.0) * 1000),
        "model": cutout.model,
        "confidence": cutout.confidence,
    }
