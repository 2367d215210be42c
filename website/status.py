"""`/status` and `/status.json`: the state of the service, for anyone. They contain no customer's figures.

Each process caches the results of its database queries for CACHE_SECONDS, so that no number of visitors can overload the
database, even while the shared cache is unreachable.
"""

import math
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.cache import add_never_cache_headers, patch_cache_control
from django.utils.translation import gettext as _
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

from billing.models import RequestRecord
from imaging.core.weights.registry import Label
from imaging.executor import runtime
from lib.ops import health, readiness

CACHE_SECONDS = 30
# The figures use this many of the newest calls. More would make them no better and the query slower. If many of them were
# refused, as many served ones are read in addition: a flood of bad calls must not hide how the service does.
SAMPLE = 2_000
# Below this share of successes, among the last hour's calls without errors of the caller, the service is degraded.
HEALTHY_SUCCESS = 0.98
# A failure or two among few calls is not a trend.
MIN_FAILURES = 3

Health = Literal["works", "degraded", "down"]


@dataclass(frozen=True, slots=True)
class Figures:
    """Statistics of one period. Times are milliseconds, None without an image; `success` is between 0 and 1.

    `calls` is how many were read, at most SAMPLE of them served. Refusals for what the caller sent count neither way.
    """

    calls: int = 0
    delivered: int = 0
    failed: int = 0
    duration_p50: int | None = None
    duration_p95: int | None = None
    inference_p50: int | None = None
    inference_p95: int | None = None

    @property
    def success(self) -> float | None:
        """The share of images delivered among those that should have been; None without any."""
        owed = self.delivered + self.failed
        return self.delivered / owed if owed else None

    def facts(self) -> dict[str, Any]:
        """All figures, for the JSON."""
        return asdict(self) | {"success": None if self.success is None else round(self.success, 4)}


@dataclass(frozen=True, slots=True)
class Periods:
    """The figures of three periods that end now. `today` is the UTC day."""

    last_hour: Figures
    today: Figures
    last_24_hours: Figures


NOTHING = Periods(Figures(), Figures(), Figures())
_measuring = threading.Lock()
# When the next refresh is due, by the monotonic clock, and the figures.
_cached: list[tuple[float, Periods]] = [(0.0, NOTHING)]


@dataclass(frozen=True, slots=True)
class Status:
    """What the page shows. The queue is that of the process that answers."""

    health: Health
    parts: dict[str, bool]
    model: str
    version: str
    busy: int
    slots: int
    waiting: int
    queue_size: int
    periods: Periods
    at: datetime


Row = tuple[datetime, int, int, int]


def percentile(ascending: Sequence[int], share: float) -> int | None:
    """The smallest value that at least `share` of all do not exceed (nearest rank); None for an empty sequence."""
    return ascending[max(0, math.ceil(share * len(ascending)) - 1)] if ascending else None


def read() -> Status:
    """The state of this process and of what it depends on, and the latest figures."""
    gate = runtime.get_gate()
    parts = _parts()
    label = Label.parse(runtime.model_label())
    periods = _figures() if parts["database"] else NOTHING
    return Status(
        health=_health(parts, periods.last_hour, is_full=gate.is_full),
        parts=parts,
        model=label.name,
        version=label.version,
        busy=gate.running,
        slots=gate.slots,
        waiting=gate.waiting,
        queue_size=gate.queue_size,
        periods=periods,
        at=timezone.now(),
    )


def _parts() -> dict[str, bool]:
    """The parts as visitors know them. A model that no image can be sent to counts as down."""
    parts = health.parts() | readiness.states(shared=True) | health.cache_part()
    parts["model"] = parts["model"] and parts.pop("broker", True)
    return parts


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """The page. It is 200 even while the service is down: the requested page itself works.

    Its frame holds the visitor's form token, so only their own browser may cache it; a customer's shows who they are and is
    not cached.
    """
    response = render(request, "imaging/status.html", _context(read()))
    if not request.user.is_authenticated:
        patch_cache_control(response, private=True, max_age=CACHE_SECONDS)
    else:
        add_never_cache_headers(response)
    return response


def _context(status: Status) -> dict[str, Any]:
    periods, day = status.periods, status.periods.last_24_hours
    rows = [(_("Last hour"), periods.last_hour), (_("Today (UTC)"), periods.today), (_("Last 24 hours"), day)]
    success = None if day.success is None else day.success * 100
    return {"status": status, "sample": SAMPLE, "periods": rows, "day": day, "success": success}


@require_safe
@cache_control(public=True, max_age=CACHE_SECONDS)
def as_json(request: HttpRequest) -> JsonResponse:
    """The same for programs."""
    status = read()
    return JsonResponse(
        {
            "status": status.health,
            "parts": status.parts,
            "model": {"name": status.model, "version": status.version, "loaded": status.parts["model"]},
            "queue": {"busy": status.busy, "slots": status.slots, "waiting": status.waiting, "size": status.queue_size},
            "last_hour": status.periods.last_hour.facts(),
            "today": status.periods.today.facts(),
            "last_24_hours": status.periods.last_24_hours.facts(),
            "time": status.at.isoformat(timespec="seconds"),
        }
    )


def _health(parts: dict[str, bool], recent: Figures, *, is_full: bool) -> Health:
    if not (parts["database"] and parts["model"]):
        return "down"
    is_failing = recent.failed >= MIN_FAILURES and (recent.success or 0) < HEALTHY_SUCCESS
    if not all(parts.values()) or is_full or is_failing:
        return "degraded"
    return "works"


def _figures() -> Periods:
    """At most CACHE_SECONDS old. One visitor's request refreshes them; others see the last ones without waiting."""
    due, found = _cached[0]
    if time.monotonic() >= due and _measuring.acquire(blocking=False):
        try:
            found = _measure()
            _cached[0] = (time.monotonic() + CACHE_SECONDS, found)
        finally:
            _measuring.release()
    return found


def clear_cache() -> None:
    """Query the database again next time."""
    _cached[0] = (0.0, NOTHING)


def _measure() -> Periods:
    now = timezone.now()
    hour, day = now - timedelta(hours=1), now - timedelta(hours=24)
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    try:
        newest = RequestRecord.objects.filter(created_at__gte=day).order_by("-created_at")
        columns = newest.values_list("created_at", "status", "duration_ms", "inference_ms")
        rows: list[Row] = list(columns[:SAMPLE])
        refused = [row for row in rows if 400 <= row[1] < 500]
        if refused and len(rows) == SAMPLE:
            rows = refused + list(columns.exclude(status__gte=400, status__lt=500)[:SAMPLE])
    except DatabaseError:
        return NOTHING
    last_hour, today, last_24_hours = (
        _summarise([row for row in rows if row[0] >= start]) for start in (hour, midnight, day)
    )
    return Periods(last_hour, today, last_24_hours)


def _summarise(rows: Sequence[Row]) -> Figures:
    delivered = [row for row in rows if row[1] == 200]
    durations, inferences = sorted(row[2] for row in delivered), sorted(row[3] for row in delivered)
    return Figures(
        calls=len(rows),
        delivered=len(delivered),
        failed=sum(row[1] >= 500 for row in rows),
        duration_p50=percentile(durations, 0.5),
        duration_p95=percentile(durations, 0.95),
        inference_p50=percentile(inferences, 0.5),
        inference_p95=percentile(inferences, 0.95),
    )
