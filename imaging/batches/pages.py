"""`/batches`: a customer's batches, their progress and their results.

The pages have separate, session-authenticated URLs for files: a plain link cannot carry the token that the API requires.
"""

import uuid
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from accounts.caller import get_signed_in
from billing.credits import ledger
from billing.models import Account
from imaging import callbacks
from imaging.batches import ends, expiry, overview
from imaging.batches.api import item_response, zip_response
from imaging.models import Batch, Callback

# A page that follows progress requests only the part that changes.
LIVE = "live"


@require_safe
@login_required
@never_cache
def batch_list(request: HttpRequest) -> HttpResponse:
    """All batches, newest first."""
    shown = overview.page_of(overview.batches_of(_account(request)), overview.BATCHES_A_PAGE, request.GET.get("page"))
    summaries = overview.summarise(list(shown))
    context = {"page": shown, "summaries": summaries, "is_open": any(one.is_open for one in summaries)}
    return render(request, _template(request, "batches"), context)


@require_safe
@login_required
@never_cache
def batch_page(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """One batch: its images, and the state of its callback."""
    batch = _find(request, pk)
    return render(request, _template(request, "batch"), _facts(request, batch))


def _facts(request: HttpRequest, batch: Batch) -> dict[str, Any]:
    [summary] = overview.summarise([batch])
    show = request.GET.get("show")
    shown = overview.page_of(overview.items_of(batch, show), overview.ITEMS_A_PAGE, request.GET.get("page"))
    callback = Callback.objects.filter(batch=batch).first()
    return {
        "batch": batch,
        "summary": summary,
        "is_open": summary.is_open or (callback is not None and callback.state == Callback.State.PENDING),
        "page": shown,
        "rows": overview.rows_of(shown, is_kept=summary.is_kept),
        "show": show if show in ("failed", "doubtful") else "",
        "doubtful": overview.items_of(batch, "doubtful").count(),
        "callback": callback,
        "attempts": overview.attempts_of(callback) if callback else [],
    }


@require_safe
@login_required
def batch_zip(request: HttpRequest, pk: uuid.UUID) -> HttpResponseBase:
    """All results. Raises what `zip_response` does."""
    return zip_response(_find(request, pk))


@require_safe
@login_required
def batch_item(request: HttpRequest, pk: uuid.UUID, index: int) -> HttpResponseBase:
    """One result. Raises what `item_response` does."""
    return item_response(_find(request, pk), index)


@require_safe
@login_required
def batch_result(request: HttpRequest, pk: uuid.UUID, index: int, output: int) -> HttpResponseBase:
    """One of several results. Raises what `item_response` does."""
    return item_response(_find(request, pk), index, output)


@require_POST
@login_required
def cancel_batch(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Cancel what has not ended. Does nothing if everything has."""
    batch = _find(request, pk)
    if ends.cancel(batch.pk):
        expiry.erase_inputs_later(batch)
        messages.success(request, gettext("Cancelled. Pictures that were not done cost nothing."))
    return redirect("batch-page", pk)


@require_POST
@login_required
def erase_batch(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Erase the results before they expire."""
    expiry.discard(_find(request, pk))
    messages.success(request, gettext("The pictures are erased."))
    return redirect("batch-page", pk)


@require_POST
@login_required
def retry_callback(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Send the callback again. Raises CallbackGone or TriesUsedUp."""
    callbacks.send_again(get_object_or_404(Callback, batch=_find(request, pk)))
    messages.success(request, gettext("The callback is sent again. The result stands below in a moment."))
    return redirect("batch-page", pk)


def _account(request: HttpRequest) -> Account:
    return ledger.get_account(get_signed_in(request))


def _find(request: HttpRequest, pk: uuid.UUID) -> Batch:
    """The customer's batch. Raises Http404 for anyone else's."""
    return get_object_or_404(overview.batches_of(_account(request)), pk=pk)


def _template(request: HttpRequest, name: str) -> str:
    return f"imaging/{name}_live.html" if request.GET.get("part") == LIVE else f"imaging/{name}.html"
