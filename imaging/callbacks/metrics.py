"""Metrics of callbacks. Read from the database, so it does not matter which process made the attempts."""

from collections.abc import Iterator
from datetime import timedelta

from django.db import DatabaseError
from django.db.models import Count, Min
from django.utils import timezone
from prometheus_client.core import GaugeMetricFamily, Metric

from imaging.models import Callback

RECENTLY = timedelta(hours=1)


def read() -> Iterator[Metric]:
    """Pending callbacks, those that ended in the last hour, and the longest delay. Nothing if the database is down."""
    try:
        states = _ended()
        states[Callback.State.PENDING.value], late = _pending()
    except DatabaseError:
        return
    family = GaugeMetricFamily(
        "rembg_callbacks", "Callbacks that are pending, and those delivered or given up in the last hour.", labels=["state"]
    )
    for state in Callback.State:
        family.add_metric([state.value], states.get(state.value, 0))
    yield family
    yield GaugeMetricFamily("rembg_callback_late_seconds", "How long the longest waiting callback has been due.", late)


def _ended() -> dict[str, int]:
    ended = Callback.objects.filter(ended_at__gte=timezone.now() - RECENTLY).order_by()
    return dict(ended.values_list("state").annotate(Count("pk")))


def _pending() -> tuple[int, float]:
    """The number of pending callbacks, and how many seconds the longest waiting one has been due."""
    pending = Callback.objects.filter(state=Callback.State.PENDING)
    count, oldest = pending.aggregate(count=Count("pk"), oldest=Min("next_try_at")).values()
    return count, max(0.0, (timezone.now() - oldest).total_seconds()) if oldest else 0.0
