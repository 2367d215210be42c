"""The figures of the day for the admin's index page: four queries, at most once in LIFETIME_SECONDS."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode

from django.core.cache import cache
from django.db.models import Count, Model, Q, Sum, Value
from django.db.models.functions import Coalesce, TruncDate
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import get_language_bidi

from accounts.models import User
from billing.credits import ledger
from billing.dashboard import chart
from billing.models import Hold, PackPurchase, RequestRecord, StripeEvent, Subscription

LIFETIME_SECONDS = 30
# Past days no longer change.
HISTORY_SECONDS = 3600
DAYS = 14
# Latency is computed from the day's newest images.
SAMPLE = 1000
# The parts of the chart's bars, from the bottom up, each with its pattern.
ANSWER_PARTS = {"delivered": "", "failed": "failed-lines"}

Facts = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Figure:
    """Rows to count, by conditions that the admin's lists accept too. `cents` is a column to sum."""

    label: str
    model: type[Model]
    since: str
    conditions: dict[str, str | bool] = field(default_factory=dict)
    cents: str = ""


# What happened today, and in the last seven days.
HAPPENED = (
    Figure("New accounts", User, "date_joined"),
    Figure("Subscriptions started", Subscription, "started_at"),
    Figure("Subscriptions ended", Subscription, "ended_at"),
    Figure("Packs sold", PackPurchase, "created_at", cents="amount_cents"),
    Figure("Refunds", StripeEvent, "received_at", {"type": "charge.refunded"}),
    Figure("Disputes opened", StripeEvent, "received_at", {"type": "charge.dispute.created"}),
    Figure("Failed Stripe events", StripeEvent, "received_at", {"status": "failed"}),
)
# What needs attention, however old it is.
WAITING = (
    Figure("Stripe events that failed", StripeEvent, "", {"status": "failed"}),
    Figure("Stripe events flagged for support", StripeEvent, "", {"status": "flagged"}),
    Figure("Stripe events not processed yet", StripeEvent, "", {"status": "received"}),
)


def figures() -> Facts:
    """The figures on the page, all of one moment, cached for LIFETIME_SECONDS."""
    kept: str | None = cache.get("support:dashboard")
    if kept is None:
        # As JSON, the only format of the shared cache, which has no dates.
        kept = json.dumps(read(timezone.now()), default=lambda moment: moment.isoformat())
        cache.set("support:dashboard", kept, LIFETIME_SECONDS)
    found: Facts = json.loads(kept)
    found["now"] = datetime.fromisoformat(found["now"])
    for one in found["days"]:
        one["day"] = date.fromisoformat(one["day"])
    found["chart"] = draw(found["days"])
    return found


def draw(days: Iterable[Facts]) -> chart.Chart:
    """The chart of delivered images, with errors stacked on top."""
    counts = {one["day"]: {kind: one[kind] for kind in ANSWER_PARTS} for one in days}
    return chart.draw(counts, ANSWER_PARTS, _in_words, is_rtl=get_language_bidi())


def read(now: datetime) -> Facts:
    """Read the figures now, without the cache."""
    today = datetime.combine(now.astimezone(UTC).date(), time(), UTC)
    answered = list(
        RequestRecord.objects.filter(created_at__gte=today).order_by().values_list("channel", "code").annotate(Count("pk"))
    )
    return {
        "now": now,
        "channels": _by_channel(answered, today),
        "errors": _by_code(answered, today),
        "latency": _latency(today),
        "days": _days(today.date(), answered),
        **_count(now, today),
    }


def changelist(model: type[Model], conditions: Mapping[str, str | bool]) -> str:
    """The admin's list of the rows that meet the conditions."""
    page = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    return f"{page}?{urlencode(conditions)}" if conditions else page


def _by_channel(answered: Iterable[tuple[str, str, int]], today: datetime) -> list[Facts]:
    """Images delivered today, by channel."""
    delivered = Counter({channel: count for channel, code, count in answered if not code})
    conditions = {"code__exact": "", "created_at__gte": today.isoformat()}
    return [
        {"label": label, "count": delivered[name], "link": changelist(RequestRecord, conditions | {"channel__exact": name})}
        for name, label in RequestRecord._meta.get_field("channel").flatchoices
    ]


def _by_code(answered: Iterable[tuple[str, str, int]], today: datetime) -> list[Facts]:
    """Today's errors, the most frequent first."""
    failed: Counter[str] = Counter()
    for _, code, count in answered:
        if code:
            failed[code] += count
    since = {"created_at__gte": today.isoformat()}
    return [
        {"label": code, "count": count, "link": changelist(RequestRecord, since | {"code__exact": code})}
        for code, count in failed.most_common()
    ]


def _latency(today: datetime) -> Facts:
    """Median and 95th percentile (nearest rank) of the whole request in milliseconds, over the newest SAMPLE images."""
    newest = RequestRecord.objects.filter(created_at__gte=today, code="").order_by("-created_at")
    times = sorted(newest.values_list("duration_ms", flat=True)[:SAMPLE])
    if not times:
        return {"sample": 0}
    p50, p95 = (times[-(-len(times) * percent // 100) - 1] for percent in (50, 95))
    link = changelist(RequestRecord, {"code__exact": "", "created_at__gte": today.isoformat(), "o": "-6"})
    return {"sample": len(times), "p50": p50, "p95": p95, "link": link}


def _count(now: datetime, today: datetime) -> Facts:
    """All of HAPPENED and WAITING, in one query."""
    week = today - timedelta(days=6)
    old: dict[str, str | bool] = {
        "state": Hold.State.HELD.value,
        "created_at__lt": (now - ledger.STALE_HOLD).isoformat(),
        "held_until__isnull": True,
    }
    asked: list[tuple[Figure, dict[str, str | bool]]] = [
        (figure, {**figure.conditions, f"{figure.since}__gte": start.isoformat()})
        for figure in HAPPENED
        for start in (today, week)
    ]
    asked += [(figure, figure.conditions) for figure in WAITING]
    asked.append((Figure("Credits held for more than 15 minutes", Hold, ""), old))
    counted = _counts(asked)
    split = 2 * len(HAPPENED)
    pairs = zip(counted[:split:2], counted[1:split:2], strict=True)
    happened = [{"label": day["label"], "today": day, "week": days} for day, days in pairs]
    return {"happened": happened, "waiting": counted[split:]}


def _counts(asked: Sequence[tuple[Figure, Mapping[str, str | bool]]]) -> list[Facts]:
    queries = [
        figure.model._default_manager.filter(**conditions).order_by().values(number=Value(number))
        .annotate(count=Count("pk"), cents=Coalesce(Sum(figure.cents), 0) if figure.cents else Value(0))
        .values_list("number", "count", "cents")
        for number, (figure, conditions) in enumerate(asked)
    ]  # fmt: skip
    rows = {number: (count, cents) for number, count, cents in queries[0].union(*queries[1:], all=True)}
    facts = []
    for number, (figure, conditions) in enumerate(asked):
        count, cents = rows.get(number, (0, 0))
        link = changelist(figure.model, conditions)
        facts.append({"label": figure.label, "count": count, "cents": cents, "link": link})
    return facts


def _days(today: date, answered: Iterable[tuple[str, str, int]]) -> list[Facts]:
    """Delivered images and errors of each day, with a link to the list of them."""
    counts = _history(today) | {
        today: (
            sum(count for _, code, count in answered if not code), sum(count for _, code, count in answered if code)
        )
    }  # fmt: skip
    days = [today - timedelta(days=ago) for ago in range(DAYS - 1, -1, -1)]
    return [_day(day, *counts.get(day, (0, 0))) for day in days]


def _history(today: date) -> dict[date, tuple[int, int]]:
    """Images and errors of the days before today, read once in HISTORY_SECONDS."""
    name = f"support:history:{today}"
    kept: list[tuple[str, int, int]] | None = cache.get(name)
    if kept is None:
        end = datetime.combine(today, time(), UTC)
        rows = RequestRecord.objects.filter(created_at__gte=end - timedelta(days=DAYS - 1), created_at__lt=end)
        days = rows.order_by().annotate(day=TruncDate("created_at", tzinfo=UTC)).values_list("day")
        counted = days.annotate(delivered=Count("pk", filter=Q(code="")), failed=Count("pk", filter=~Q(code="")))
        kept = [(day.isoformat(), delivered, failed) for day, delivered, failed in counted]
        cache.set(name, kept, HISTORY_SECONDS)
    return {date.fromisoformat(day): (delivered, failed) for day, delivered, failed in kept}


def _day(day: date, delivered: int, failed: int) -> Facts:
    since = {"created_at__gte": f"{day}T00:00Z", "created_at__lt": f"{day + timedelta(days=1)}T00:00Z"}
    return {"day": day, "delivered": delivered, "failed": failed, "link": changelist(RequestRecord, since)}


def _in_words(day: date, figures: Mapping[str, int]) -> str:
    return f"{date_format(day, 'j M')}: {figures['delivered']:,} delivered, {figures['failed']:,} errors"
