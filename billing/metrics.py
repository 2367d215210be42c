"""What `/metrics` reports on credits and payments."""

from collections.abc import Iterator

from django.db import DatabaseError
from django.db.models import Count, Min, Q, Sum
from django.utils import timezone
from prometheus_client import Counter
from prometheus_client.core import GaugeMetricFamily, Metric

from billing.models import Hold, StripeEvent
from lib.amounts import UNIT
from lib.ops import metrics

# What support or an operator has to look at. Finished events are numerous and need no attention.
UNFINISHED = (StripeEvent.Status.RECEIVED, StripeEvent.Status.FAILED, StripeEvent.Status.FLAGGED)

CREDITS = Counter(
    "rembg_credits_total",
    "Credits held, posted and voided by requests. What the sweeper voids is in its log and in the ledger.",
    ["movement"],
    registry=metrics.registry,
)


def count(amount: int, movement: str) -> None:
    """Count the movement of an amount, in hundredths of a credit."""
    CREDITS.labels(movement).inc(amount / UNIT)


def read() -> Iterator[Metric]:
    """Credits on hold and unfinished Stripe events. Nothing while the database is down: `rembg_part_up` reports that."""
    try:
        held, events = _held(), _events()
    except DatabaseError:
        return
    yield from held
    yield events


def _held() -> list[Metric]:
    # A batch's hold may legitimately be hours old, and so may a renewed hold of a request.
    of_requests = Q(held_until=None) | Q(held_until__lt=timezone.now())
    found = Hold.objects.filter(state="held")
    open_holds = found.aggregate(amount=Sum("price", default=0), oldest=Min("created_at", filter=of_requests))
    oldest = open_holds["oldest"]
    age = max(0.0, (timezone.now() - oldest).total_seconds()) if oldest else 0.0
    return [
        GaugeMetricFamily("rembg_credits_held", "Credits on hold now.", open_holds["amount"] / UNIT),
        GaugeMetricFamily("rembg_oldest_hold_seconds", "Age of the oldest hold of a request; 0 without any.", age),
    ]


def _events() -> Metric:
    found = StripeEvent.objects.filter(status__in=UNFINISHED).order_by().values_list("status").annotate(Count("pk"))
    counts = dict(found)
    family = GaugeMetricFamily("rembg_stripe_events", "Stripe events that are not done, by state.", labels=["state"])
    for status in UNFINISHED:
        family.add_metric([status.value], counts.get(status.value, 0))
    return family
