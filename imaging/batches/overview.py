"""What pages tell of batches: counted in the database, worded for people."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from django.core.paginator import Page, Paginator
from django.db.models import Count, Model, QuerySet
from django.utils import timezone, translation
from django.utils.functional import Promise
from django.utils.translation import gettext

from billing.models import Account
from imaging.models import Batch, BatchItem, Callback, CallbackTry
from lib.web import catalogue

BATCHES_A_PAGE = 20
ITEMS_A_PAGE = 50
State = BatchItem.State
Rows = TypeVar("Rows", bound=Model)


def batches_of(account: Account) -> QuerySet[Batch]:
    """The account's batches, newest first."""
    return Batch.objects.filter(account=account).order_by("-created_at", "-pk")


def page_of(rows: QuerySet[Rows], size: int, number: str | None) -> Page[Rows]:
    """One page of them; a number that there is none of is the nearest that there is."""
    return Paginator(rows, size).get_page(number)


@dataclass(frozen=True, slots=True)
class Summary:
    """A batch as a row of the list and as the head of its page shows it. `states` counts its pictures by state."""

    batch: Batch
    states: Counter[str]
    now: datetime

    @property
    def total(self) -> int:
        """Pictures in all."""
        return self.states.total()

    @property
    def done(self) -> int:
        """With a result; each has cost a credit."""
        return self.states[State.DONE]

    @property
    def failed(self) -> int:
        """Without one, by their own fault."""
        return self.states[State.FAILED]

    @property
    def cancelled(self) -> int:
        """Without one, by the customer's wish or because time was over."""
        return self.states[State.CANCELLED]

    @property
    def still_open(self) -> int:
        """Waiting or at work; each has a credit set aside."""
        return sum(self.states[state] for state in BatchItem.OPEN)

    @property
    def is_open(self) -> bool:
        """Whether there is something to wait for."""
        return self.batch.state == Batch.State.PROCESSING

    @property
    def is_kept(self) -> bool:
        """Whether its results are still there."""
        return self.batch.erased_at is None and self.batch.expires_at > self.now

    @property
    def ended(self) -> int:
        """How many of its pictures need no more work."""
        return self.total - self.still_open

    @property
    def percent(self) -> int:
        """The part that has ended, rounded down: 100 is all."""
        return self.ended * 100 // max(1, self.total)

    @property
    def has_zip(self) -> bool:
        """Whether there is anything to download."""
        return self.is_kept and self.done > 0


@dataclass(frozen=True, slots=True)
class Row:
    """A picture of a batch. `is_english`: the reason is told in the API's words, as there are no others."""

    item: BatchItem
    reason: str | Promise
    is_english: bool
    has_result: bool


def rows_of(items: Page[BatchItem], *, is_kept: bool) -> list[Row]:
    """The pictures on a page."""
    return [
        Row(item, *_reason(item.code, item.error), has_result=is_kept and item.state == State.DONE)
        for item in items.object_list
    ]


def _reason(code: str, error: str) -> tuple[str | Promise, bool]:
    """Why a picture failed: the API's text to who reads English, else the advice on its code."""
    row = catalogue.ROWS.get(code)
    if not error or translation.get_language() == "en" or row is None or not row.advice:
        return error, True
    return row.advice, False


@dataclass(frozen=True, slots=True)
class Attempt:
    """A try of a callback. `is_good`: it was taken."""

    row: CallbackTry
    reason: str
    is_good: bool


def attempts_of(callback: Callback) -> list[Attempt]:
    """The tries, the newest first."""
    rows = callback.attempts.order_by("-number")
    return [Attempt(row, gettext(row.error) if row.error else "", 200 <= (row.status or 0) < 300) for row in rows]


def summarise(batches: Sequence[Batch]) -> list[Summary]:
    """These batches as of now, in one query."""
    states: dict[UUID, Counter[str]] = {batch.pk: Counter() for batch in batches}
    found = BatchItem.objects.filter(batch__in=states).order_by().values_list("batch", "state").annotate(Count("pk"))
    for pk, state, number in found:
        states[pk][state] = number
    return [Summary(batch, states[batch.pk], timezone.now()) for batch in batches]
