"""`POST /api/stripe/webhook`: receives Stripe's events."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from billing.models import StripeEvent
from billing.payments import client as stripe_client
from billing.payments import events as stripe_events
from billing.payments.client import InvalidSignature
from billing.payments.tasks import process_stripe_event
from lib.web.errors import ApiError

# Stripe's largest events are a few hundred kilobytes.
MAX_BODY_BYTES = 1_000_000


@csrf_exempt
@require_POST
def webhook(request: HttpRequest) -> HttpResponse:
    """Store a signed event and have it processed. Stripe resends it on any status but 2xx."""
    event = _read(request)
    stored = stripe_events.receive(event)
    if stored.is_open:
        process_stripe_event.delay(stored.pk)
    if settings.CELERY_TASK_ALWAYS_EAGER and StripeEvent.objects.get(pk=stored.pk).is_open:
        raise ApiError("event_not_processed")
    return HttpResponse(status=204)


def _read(request: HttpRequest) -> stripe_client.Json:
    """The event in a request. Raises ApiError 404 if payment is off, 413 if the body is too large, 400 if it is unsigned."""
    if not settings.STRIPE_WEBHOOK_SECRET:
        raise ApiError("not_found", message="Payment is switched off on this server.")
    # A body of unknown length counts as endless. Stripe always sends the length.
    length = request.META.get("CONTENT_LENGTH") or "0"
    if not length.isdecimal() or int(length) > MAX_BODY_BYTES:
        raise ApiError("payload_too_large")
    try:
        return stripe_client.read_event(request.body, request.headers.get("Stripe-Signature", ""))
    except InvalidSignature as error:
        raise ApiError("invalid_signature") from error
