"""`POST /rmbg`."""

import re
import time
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath
from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.http import content_disposition_header
from rest_framework.permissions import AllowAny
from rest_framework.request import Request

from billing.credits import admission
from billing.credits.admission import Customer
from billing.credits.customer_view import CustomerView
from billing.credits.idempotency import Retry, find_retry_key
from imaging.core.pipeline import Cutout
from imaging.core.problems import CallerGone, ImageRefused
from imaging.executor.fair_queue import Rank, Requester
from imaging.executor.gate import LeftQueue
from imaging.executor.orders import Delivery
from imaging.removal import cutouts, image_url, request_facts, sending
from imaging.removal.openapi import rmbg_schema
from imaging.removal.upload import Form, FormParser, get_form, raise_refusal
from lib.web import rate_limits
from lib.web.api_view import get_request_id
from lib.web.errors import ApiError

UNSAFE_IN_NAMES = re.compile(r"[\x00-\x1f\x7f]")
MAX_STEM = 100


class RemoveBackgroundView(CustomerView):
    """Removes the background of one picture. The answer is the picture itself."""

    permission_classes = [AllowAny]
    parser_classes = [FormParser]
    delivery: Delivery | None = None
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
                request_facts.note(request, response, self.customer, self.delivery, time.perf_counter() - self.started)
            # The view and its request reference each other: the result would stay in memory until the next garbage
            # collection.
            self.delivery = None

    @rmbg_schema
    def post(self, request: Request) -> HttpResponseBase:
        customer = self.get_customer()
        rate_limits.check_failures(customer.policy)
        retry_key = find_retry_key(request)
        raise_refusal(request)
        with rate_limits.concurrent_place(customer.policy) as place, get_form(request, Form) as form:
            image_url.fetch_picture(form, customer.policy.subject)
            job = cutouts.check_form(form)
            sending.check_room(place)
            retry = Retry(retry_key, cutouts.fingerprint(job)) if retry_key else None
            # The response is built inside, so no one pays for one that could not be built.
            with admission.charged(customer, get_request_id(request), retry) as credits:
                self.delivery = delivery = self._cut_out(request, customer, job)
                timings = {"queue": delivery.queued, **delivery.cutout.timings, "total": time.perf_counter() - self.started}
                headers = cutout_headers(delivery.cutout, name=job.name, credits=credits, timings=timings)
                return sending.respond(delivery.cutout.content, delivery.cutout.size, headers, place)

    def _cut_out(self, request: Request, customer: Customer, job: cutouts.Job) -> Delivery:
        rank = Rank.ANONYMOUS if customer.account is None else Rank.CUSTOMER
        requester = Requester(customer.policy.subject, rank)
        try:
            return cutouts.run(job, requester, still_wanted=_find_still_wanted(request))
        except ImageRefused:
            rate_limits.count_failure(customer.policy)
            raise
        except CallerGone as gone:
            if not isinstance(gone, LeftQueue):
                # Otherwise a caller could send images and leave, and cause unlimited wasted work.
                rate_limits.count_failure(customer.policy)
            # Only the log sees this response. 499 is nginx's status for it.
            raise ApiError("caller_gone") from gone


def _find_still_wanted(request: HttpRequest) -> Callable[[], bool] | None:
    """A check whether the caller still waits, if the web server knows (waitress does)."""
    is_gone = request.META.get("waitress.client_disconnected")
    return None if is_gone is None else lambda: not is_gone()


def cutout_headers(cutout: Cutout, *, name: str, credits: int, timings: Mapping[str, float]) -> dict[str, str]:
    """The headers that describe a cutout. `timings` are in seconds, sent in milliseconds."""
    filename = f"{stem(name)}-no-bg.{cutout.extension}"
    return {
        "Content-Type": cutout.media_type,
        "Content-Length": str(cutout.size),
        "Content-Disposition": content_disposition_header(as_attachment=False, filename=filename) or "inline",
        "Cache-Control": "no-store",
        "X-Width": str(cutout.width),
        "X-Height": str(cutout.height),
        "X-Credits-Charged": str(credits),
        "X-Model": cutout.model,
        "Server-Timing": ", ".join(f"{step};dur={seconds * 1000:.1f}" for step, seconds in timings.items()),
    }


def stem(name: str) -> str:
    """The file name without folders and extension, safe to send back; `image` if nothing is left."""
    base = PurePosixPath(UNSAFE_IN_NAMES.sub("", name).replace("\\", "/")).name
    return PurePosixPath(base).stem.strip(". ")[:MAX_STEM] or "image"
