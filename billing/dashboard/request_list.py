"""A customer's request records: filtered, newest first, a page at a time."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db.models import Q, QuerySet
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from accounts.models import ApiKey
from billing.dashboard.usage_report import Cycle
from billing.models import Account, RequestRecord
from lib.ops.database import give_back

PAGE_SIZE = 25
EXPORT_PAGE = 2_000
GROUPS = {"delivered": _("Delivered"), "refused": _("Refused"), "failed": _("Failed")}
_CONDITIONS = {"delivered": Q(status__lt=400), "refused": Q(status__gte=400, status__lt=500), "failed": Q(status__gte=500)}
# The id distinguishes records with the same timestamp.
_CURSOR = re.compile(r"([0-9]{1,17})-([0-9]{1,18})")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
APP = "app"


@dataclass(frozen=True, slots=True)
class Filters:
    """What a customer wants to see. `key` is a key's lookup part, or `app`; empty means all."""

    group: str = ""
    key: str = ""
    before: str = ""

    def query(self, **changes: str) -> str:
        """The filters as a query string, without empty values."""
        values = {"status": self.group, "key": self.key, "before": self.before} | changes
        query = QueryDict(mutable=True)
        query.update({name: value for name, value in values.items() if value})
        return query.urlencode()


@dataclass(frozen=True, slots=True)
class Page:
    """Records to show, and the cursor of the next page; empty on the last page."""

    records: list[RequestRecord]
    following: str


def parse_filters(query: Mapping[str, str]) -> Filters:
    """Parse the filters. Invalid values are ignored."""
    group = query.get("status", "")
    before = query.get("before", "")
    return Filters(group if group in GROUPS else "", query.get("key", "")[:64], before if _CURSOR.fullmatch(before) else "")


def select(account: Account, filters: Filters, keys: Mapping[int, ApiKey], cycle: Cycle | None) -> QuerySet[RequestRecord]:
    """The records of an account that match the filters, newest first; of one cycle if given."""
    records = RequestRecord.objects.filter(account=account).order_by("-created_at", "-id")
    if filters.group:
        records = records.filter(_CONDITIONS[filters.group])
    if filters.key == APP:
        records = records.filter(channel="app")
    elif filters.key:
        # A key that is not this customer's has no records here.
        records = records.filter(key_id=next((pk for pk, key in keys.items() if key.lookup == filters.key), None) or 0)
    if cycle is not None:
        records = records.filter(created_at__gte=cycle.window.start, created_at__lt=cycle.end)
    return records


def get_page(records: QuerySet[RequestRecord], filters: Filters) -> Page:
    """PAGE_SIZE records after the cursor. The cost does not grow with the page number."""
    if filters.before:
        records = records.filter(_older_than(filters.before))
    found = list(records[: PAGE_SIZE + 1])
    shown = found[:PAGE_SIZE]
    return Page(shown, _cursor(shown[-1]) if len(found) > PAGE_SIZE else "")


def read_all(records: QuerySet[RequestRecord]) -> Iterator[RequestRecord]:
    """All records, for a file. No database connection is held between pages, because the client may be slow.

    A server-side cursor would hold one, and an aborted response would close it in the middle of another query of the same
    thread, which would then wait for itself.
    """
    cursor = ""
    while True:
        found = list((records.filter(_older_than(cursor)) if cursor else records)[:EXPORT_PAGE])
        give_back()
        yield from found
        if len(found) < EXPORT_PAGE:
            return
        cursor = _cursor(found[-1])


def _cursor(record: RequestRecord) -> str:
    return f"{(record.created_at - _EPOCH) // timedelta(microseconds=1)}-{record.pk}"


def _older_than(cursor: str) -> Q:
    match = _CURSOR.fullmatch(cursor)
    assert match is not None  # noqa: S101  (`parse_filters` let it through)
    moment = _EPOCH + timedelta(microseconds=int(match[1]))
    return Q(created_at__lt=moment) | Q(created_at=moment, pk__lt=int(match[2]))
