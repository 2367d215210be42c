"""`/api/batches`: create a batch, manage it, fetch its results."""

import weakref
from threading import BoundedSemaphore
from typing import Any
from uuid import UUID

from django.conf import settings
from django.http import FileResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from rest_framework.exceptions import NotAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.caller import get_signed_in
from billing.credits.customer_view import CustomerView
from billing.credits.idempotency import find_retry_key
from imaging.batches import creation, ends, expiry, names, results
from imaging.batches import openapi as schema
from imaging.batches.describe import describe, summarise
from imaging.batches.serializers import BATCH, BATCHES, SUMMARY
from imaging.batches.upload import BatchForm, BatchParser
from imaging.executor.gate import Busy
from imaging.models import Batch
from imaging.removal.api import confidence_header, foreground_headers
from imaging.removal.forms import get_form, raise_refusal
from lib.web import rate_limits
from lib.web.api_view import get_request_id
from lib.web.errors import field_problem, from_status, validation_error

NO_STORE = {"Cache-Control": "no-store"}
DEFAULT_LIMIT, MAX_LIMIT = 20, 100
_zips = BoundedSemaphore(max(1, settings.WEB_THREADS // 4))


class BatchView(CustomerView):
    """What all of them share: only customers, each with their own batches. To look after a batch is cheap."""

    read_methods = frozenset({"GET", "HEAD", "DELETE"})

    def get_batch(self, request: Request, batch_id: UUID) -> Batch:
        """The caller's batch. Raises ApiError 404 if it does not exist or belongs to another customer."""
        found = Batch.objects.filter(pk=batch_id, account__user=get_signed_in(request)).first()
        if found is None:
            raise from_status(404)
        return found


class BatchListView(BatchView):
    """Make a batch; list those there are."""

    parser_classes = [BatchParser]

    @schema.create
    def post(self, request: Request) -> Response:
        customer = self.get_customer()
        if customer.account is None:
            raise NotAuthenticated
        rate_limits.check_failures(customer.policy, of_batch=True)
        retry_key = find_retry_key(request)
        raise_refusal(request)
        if retry_key is None:
            # A retry gets the existing batch. Any other request can be refused before its two gigabytes arrive.
            creation.check_places(customer.account)
        with rate_limits.concurrent_place(customer.policy), get_form(request, BatchForm) as form:
            batch = creation.create(
                customer, customer.account, form, request_id=get_request_id(request), retry_key=retry_key
            )
        body = _serialise(request, Batch.objects.get(pk=batch.pk))
        return Response(body, status=202, headers={"Location": body["url"], **NO_STORE})

    @schema.list_all
    def get(self, request: Request) -> Response:
        batches = Batch.objects.filter(account__user=get_signed_in(request)).order_by("-created_at", "-pk")
        limit, before = _parse_page(request)
        if before is not None:
            at = self.get_batch(request, before)
            batches = batches.filter(created_at__lte=at.created_at).exclude(pk=at.pk)
        page = list(batches[: limit + 1])
        following = None
        if len(page) > limit:
            following = f"{request.build_absolute_uri(request.path)}?limit={limit}&before={page[limit - 1].pk}"
        shown = summarise(page[:limit], _base_url(request))
        return Response(BATCHES.to_representation({"batches": shown, "next": following}), headers=NO_STORE)


class BatchDetailView(BatchView):
    """One batch."""

    @schema.read
    def get(self, request: Request, batch_id: UUID) -> Response:
        return Response(_serialise(request, self.get_batch(request, batch_id)), headers=NO_STORE)

    @schema.delete
    def delete(self, request: Request, batch_id: UUID) -> Response:
        expiry.discard(self.get_batch(request, batch_id))
        return Response(status=204)


class BatchCancelView(BatchView):
    """Stop a batch."""

    read_methods = frozenset({"POST"})

    @schema.cancel
    def post(self, request: Request, batch_id: UUID) -> Response:
        batch = self.get_batch(request, batch_id)
        if ends.cancel(batch.pk):
            expiry.erase_inputs_later(batch)
        return Response(_serialise(request, self.get_batch(request, batch_id)), headers=NO_STORE)


class BatchItemView(BatchView):
    """One result: the first, where there are several."""

    @schema.read_item
    def get(self, request: Request, batch_id: UUID, index: int) -> HttpResponseBase:
        return item_response(self.get_batch(request, batch_id), index)


class BatchResultView(BatchView):
    """One of several results."""

    @schema.read_result
    def get(self, request: Request, batch_id: UUID, index: int, output: int) -> HttpResponseBase:
        return item_response(self.get_batch(request, batch_id), index, output)


class BatchZipView(BatchView):
    """All results."""

    @schema.read_zip
    def get(self, request: Request, batch_id: UUID) -> HttpResponseBase:
        return zip_response(self.get_batch(request, batch_id))


def item_response(batch: Batch, index: int, output: int = 0) -> FileResponse:
    """One result as a file. Raises what `results.open_one` does."""
    item, result, file = results.open_one(batch, index, output)
    filename = names.result_name(item.name, result.media_type, result.output).rpartition("/")[2]
    headers = {
        "Content-Length": str(result.size),
        "X-Width": str(result.width),
        "X-Height": str(result.height),
        # Results of the release before have none.
        **(foreground_headers(result.foreground) if result.foreground else {}),
        "X-Model": item.model,
        **confidence_header(item.confidence),
        **NO_STORE,
    }
    return FileResponse(file, filename=filename, content_type=result.media_type, headers=headers)


def zip_response(batch: Batch) -> StreamingHttpResponse:
    """All results as one zip. Raises what `results.zip_of` does, or Busy while too many zips are being sent.

    A zip is built while it is sent, by a thread that waits for the client; other requests need threads too.
    """
    archive = results.zip_of(batch)
    if not _zips.acquire(blocking=False):
        raise Busy
    headers = {
        "Content-Type": "application/zip",
        "Content-Length": str(len(archive)),
        "Content-Disposition": f'attachment; filename="batch-{batch.pk}.zip"',
        **NO_STORE,
    }
    response = StreamingHttpResponse(archive, headers=headers)
    # Released exactly once, whether the response was sent or not.
    response._resource_closers.append(weakref.finalize(response, _zips.release))  # type: ignore[attr-defined]
    return response


def _serialise(request: Request, batch: Batch) -> dict[str, Any]:
    """The batch, without its items if the query asks for none."""
    base_url = _base_url(request)
    if request.query_params.get("items") == "0":
        return SUMMARY.to_representation(summarise([batch], base_url)[0])
    return BATCH.to_representation(describe(batch, base_url))


def _base_url(request: Request) -> str:
    return request.build_absolute_uri("/").rstrip("/")


def _parse_page(request: Request) -> tuple[int, UUID | None]:
    """`limit` and `before`. Raises ApiError 400."""
    text, before = request.query_params.get("limit", ""), request.query_params.get("before", "")
    limit = int(text) if text.isdecimal() and text.isascii() and len(text) < 4 else 0
    problems = []
    if text and not 1 <= limit <= MAX_LIMIT:
        problems.append(field_problem("limit", "out_of_range", low=1, high=MAX_LIMIT, value=text[:20]))
    try:
        found = UUID(before) if before else None
    except ValueError:
        problems.append(field_problem("before", "invalid_batch_id"))
    if problems:
        raise validation_error(problems)
    return limit or DEFAULT_LIMIT, found
