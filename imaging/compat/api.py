"""`POST /v1.0/removebg`: the view, and its answer as an image or as JSON."""

import base64
import io
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from tempfile import TemporaryFile
from typing import Any, BinaryIO, ClassVar, cast

from django.http.response import HttpResponseBase
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.authentication import ApiKeyAuthentication
from billing.credits import admission
from billing.credits.admission import Customer
from billing.credits.customer_view import CustomerView
from billing.credits.idempotency import Retry, find_retry_key
from billing.credits.prices import IMAGE, PREVIEW
from billing.credits.refusals import KeyLimitReached, MonthlyLimitReached
from imaging.compat import sizes
from imaging.compat.forms import CompatForm, CompatParser
from imaging.compat.openapi import removebg_schema
from imaging.compat.orders import Order, check_form
from imaging.core.geometry import Size
from imaging.core.pipeline import Cutout
from imaging.executor import models
from imaging.executor.fair_queue import Rank, Requester
from imaging.executor.jobs import Job
from imaging.removal import cutouts
from imaging.removal.api import MEMORY_BYTES, RecordedView, check_room, cut_out, cutout_headers, respond
from imaging.removal.forms import get_form, raise_refusal
from lib.web import rate_limits
from lib.web.api_view import get_request_id
from lib.web.errors import ApiError

JSON = "application/json"
# Base64 of this much is written at a time: a multiple of three.
_PIECE = 3 * 64 * 1024


class KeyView(CustomerView):
    """An endpoint for API keys alone."""

    authentication_classes = [ApiKeyAuthentication]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Identify the caller and count the call. Raises ApiError `missing_api_key`, and what identification raises."""
        if "x-api-key" not in request.headers:
            raise ApiError("missing_api_key")
        super().initial(request, *args, **kwargs)


class CompatView(KeyView, RecordedView):
    """An endpoint that works on images. Its calls count the megapixels of their images instead of requests."""

    parser_classes = [CompatParser]

    def count(self, customer: Customer) -> None:
        """Count the first megapixel, before the body is read."""
        rate_limits.count_megapixels(customer.policy, 1)

    def limit_headers(self, customer: Customer, answer: Response) -> dict[str, str]:
        """The limit of megapixels a minute, with every image that was worked on, and where it is the reason of a refusal."""
        state = rate_limits.find_megapixels(customer.policy)
        if state is None or answer.status_code not in (200, 429):
            return {}
        return {
            "X-RateLimit-Limit": str(state.limit),
            "X-RateLimit-Remaining": str(state.remaining),
            "X-RateLimit-Reset": str(int(time.time()) + state.reset),
        }


class RemovebgView(CompatView):
    """Removes the background of one image, as remove.bg's endpoint of this name does."""

    endpoint: ClassVar[str] = "v1.0/removebg"

    @removebg_schema
    def post(self, request: Request) -> HttpResponseBase:
        customer = self.get_customer()
        rate_limits.check_failures(customer.policy)
        retry_key = find_retry_key(request)
        raise_refusal(request)
        with rate_limits.concurrent_place(customer.policy) as place, get_form(request, CompatForm) as form:
            order = check_form(form, Requester(customer.policy.subject, Rank.CUSTOMER))
            count_rest(customer, order.upright_size)
            check_room(place)
            retry = Retry(retry_key, cutouts.fingerprint(order.job())) if retry_key else None
            # The response is built inside, so no one pays for one that could not be built.
            with _charged(customer, order, get_request_id(request), retry) as (job, credits):
                self.cutout = cutout = self._work(request, customer, job)
                headers = _headers(cutout, order, credits)
                content, size = cutout.content, cutout.size
                if wants_json(request.headers.get("Accept", "")):
                    content, size = _as_json(cutout)
                    headers |= {"Content-Type": JSON, "Content-Length": str(size)}
                return respond(content, size, headers, place)

    def _work(self, request: Request, customer: Customer, job: Job) -> Cutout:
        """The cutout. Raises ApiError where the network finds nothing."""
        cutout = cut_out(request, customer, job)
        if cutout.confidence == 0 or not cutout.foreground[2]:
            cutout.content.close()
            # It has cost as much work as a delivered one.
            rate_limits.count_failure(customer.policy)
            raise ApiError("unknown_foreground")
        return cutout


def count_rest(customer: Customer, upright_size: Size) -> None:
    """Count the megapixels of an image beyond the first."""
    megapixels = sizes.counted_megapixels(upright_size)
    if megapixels > 1:
        rate_limits.count_megapixels(customer.policy, megapixels - 1)


@contextmanager
def _charged(customer: Customer, order: Order, request_id: str, retry: Retry | None) -> Iterator[tuple[Job, int]]:
    """The job, and what it costs in hundredths. `auto` is a preview where there is no credit for more."""
    attempts = [(order.operation, order.job())]
    if order.operation == IMAGE and order.wanted.size_class == sizes.AUTO:
        attempts.append((PREVIEW, order.job("preview")))
    with ExitStack() as stack:
        for operation, job in attempts:
            model = models.name_of(job.options.model)
            charge = admission.charged(customer, request_id, retry, operation=operation, model=model)
            try:
                credits = stack.enter_context(charge)
            except (MonthlyLimitReached, KeyLimitReached):
                if operation is attempts[-1][0]:
                    raise
                continue
            break
        yield job, credits


def wants_json(accept: str) -> bool:
    """Whether a caller wants JSON: it names that type, and neither images nor anything.

    axios sends `application/json, text/plain, */*` by default, and its callers expect the image.
    """
    types = {part.partition(";")[0].strip().lower() for part in accept.split(",")}
    return JSON in types and "*/*" not in types and not any(name.startswith("image/") for name in types)


def _headers(cutout: Cutout, order: Order, credits: int) -> dict[str, str]:
    shared = cutout_headers(cutout, name="", credits=credits, timings=cutout.timings)
    del shared["Content-Disposition"]
    largest, kind = order.largest_size(), order.wanted.reported_kind
    return {
        **shared,
        **({"X-Type": kind} if kind else {}),
        "X-Max-Width": str(largest[0]),
        "X-Max-Height": str(largest[1]),
    }


def _as_json(cutout: Cutout) -> tuple[BinaryIO, int]:
    """The JSON with the cutout as base64, open at its start, and its size. On disk if it is large."""
    file: BinaryIO = io.BytesIO() if cutout.size <= MEMORY_BYTES else cast(BinaryIO, TemporaryFile())  # noqa: SIM115
    try:
        file.write(b'{"data":{"result_b64":"')
        while piece := cutout.content.read(_PIECE):
            file.write(base64.b64encode(piece))
        file.write(f'",{_foreground(cutout)}}}}}'.encode())
        size = file.tell()
        file.seek(0)
    except BaseException:
        file.close()
        raise
    cutout.content.close()
    return file, size


def _foreground(cutout: Cutout) -> str:
    names: Mapping[str, int] = dict(zip(("left", "top", "width", "height"), cutout.foreground, strict=True))
    return ",".join(f'"foreground_{name}":{names[name]}' for name in ("top", "left", "width", "height"))
