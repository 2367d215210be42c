"""The customer's dashboard: credits left, what they were spent on, recent requests and their outcomes. Also as CSV files."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils.translation import get_language_bidi
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.caller import get_signed_in
from accounts.models import ApiKey, User
from billing.credits import ledger
from billing.credits.prices import as_number
from billing.dashboard import chart, csv_export, outcomes, request_list, usage_report
from billing.dashboard.request_list import Filters
from billing.dashboard.usage_report import Cycle, Report
from billing.models import Account, RequestRecord

USAGE_COLUMNS = ["day_utc", "channel", "key_name", "key_prefix", "bucket", "credits"]
REQUEST_COLUMNS = [
    "time_utc", "request_id", "channel", "key_name", "key_prefix", "status", "code", "credits", "duration_ms", "queue_ms",
    "inference_ms", "model", "endpoint",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Asked:
    """What a dashboard request asks for."""

    account: Account
    cycles: list[Cycle]
    cycle: Cycle
    keys: dict[int, ApiKey]
    filters: Filters
    is_past_asked: bool

    @property
    def requests_of(self) -> Cycle | None:
        """The cycle whose requests are shown, if one was asked for. None shows every stored request."""
        return self.cycle if self.is_past_asked else None


@require_safe
@login_required
@never_cache
def dashboard(request: HttpRequest) -> HttpResponse:
    """Balance, usage of a cycle by day and key, recent requests, past cycles."""
    asked = _read(request)
    report = usage_report.get_report(asked.cycle)
    found = request_list.select(asked.account, asked.filters, asked.keys, asked.requests_of)
    listed = request_list.get_page(found, asked.filters)
    context = {
        "asked": asked,
        "account": asked.account,
        "report": report,
        "chart": chart.draw_credits(report, is_rtl=get_language_bidi()),
        "by_key": report.by_key(asked.keys),
        "requests": [_row(record, asked.keys) for record in listed.records],
        "groups": request_list.GROUPS,
        "is_filtered": bool(asked.filters.group or asked.filters.key),
        **_links(asked, listed.following),
    }
    return render(request, "billing/dashboard.html", context)


@require_safe
@login_required
@never_cache
def usage_csv(request: HttpRequest) -> HttpResponseBase:
    """The usage of a cycle by day, channel, key and bucket."""
    asked = _read(request)
    report = usage_report.get_report(asked.cycle)
    name = f"usage-{asked.cycle.window.start.astimezone(UTC):%Y-%m-%d}.csv"
    return csv_export.download(name, USAGE_COLUMNS, _usage_rows(report, asked.keys))


@require_safe
@login_required
@never_cache
def requests_csv(request: HttpRequest) -> HttpResponseBase:
    """Every stored request that matches the filters."""
    asked = _read(request)
    found = request_list.select(asked.account, asked.filters, asked.keys, asked.requests_of)
    return csv_export.download("requests.csv", REQUEST_COLUMNS, _request_rows(request_list.read_all(found), asked.keys))


def _read(request: HttpRequest) -> Asked:
    """Raises NoSuchCycle for a cycle that the customer does not have."""
    user = get_signed_in(request)
    account = ledger.get_account(user)
    cycles = usage_report.list_cycles(account)
    cycle = usage_report.get_cycle(cycles, request.GET.get("cycle"))
    filters = request_list.parse_filters(request.GET.dict())
    return Asked(account, cycles, cycle, _keys(user), filters, "cycle" in request.GET)


def _keys(user: User) -> dict[int, ApiKey]:
    return {key.pk: key for key in ApiKey.objects.filter(user=user).only("pk", "name", "lookup", "revoked_at", "expires_at")}


def _links(asked: Asked, following: str) -> dict[str, str]:
    """Query strings of the page's links. Each keeps the other choices."""
    cycle = {"cycle": str(asked.cycle.unix)} if asked.is_past_asked else {}
    return {
        "older_query": asked.filters.query(**cycle, before=following) if following else "",
        "newest_query": asked.filters.query(**cycle, before=""),
        "export_query": asked.filters.query(**cycle, before=""),
        "cycle_query": Filters().query(**cycle),
    }


def _row(record: RequestRecord, keys: dict[int, ApiKey]) -> dict[str, Any]:
    return {
        "record": record,
        "outcome": outcomes.describe(record.status, record.code),
        "key": keys.get(record.key_id) if record.key_id else None,
        "tone": "good" if record.status < 400 else "warn" if record.status < 500 else "bad",
        "seconds": record.duration_ms / 1000,
    }


def _key_cells(key_id: int | None, keys: dict[int, ApiKey]) -> tuple[str, str]:
    key = keys.get(key_id) if key_id is not None else None
    return (key.name, key.prefix) if key else ("", "")


def _usage_rows(report: Report, keys: dict[int, ApiKey]) -> Iterator[list[csv_export.Cell]]:
    for one in report.spent:
        name, prefix = _key_cells(one.key_id, keys)
        yield [one.day.isoformat(), one.channel, name, prefix, one.bucket, as_number(one.amount)]


def _request_rows(records: Iterator[RequestRecord], keys: dict[int, ApiKey]) -> Iterator[list[csv_export.Cell]]:
    for one in records:
        name, prefix = _key_cells(one.key_id, keys)
        time = one.created_at.astimezone(UTC).isoformat(timespec="milliseconds")
        yield [
            time, one.request_id, one.channel, name, prefix, one.status, one.code, as_number(one.charged), one.duration_ms,
            one.queue_ms, one.inference_ms, one.model, one.endpoint,
        ]  # fmt: skip
