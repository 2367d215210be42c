"""Batches as the pages show them: counted in the database, worded for people."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from django.core.paginator import Page, Paginator
from django.db.models import Model, QuerySet
from django.utils import timezone, translation
from django.utils.functional import Promise
from django.utils.translation import gettext

from billing.models import Account
from imaging.batches.describe import count_items
from imaging.models import Batch, BatchItem, Callback, CallbackTry
from lib.web import catalogue

BATCHES_A_PAGE = 20
ITEMS_A_PAGE = 50
# Results with a lower confidence are worth a look.
DOUBTFUL = 0.85
State = BatchItem.State
Rows = TypeVar("Rows", bound=Model)


def batches_of(account: Account) -> QuerySet[Batch]:
    """The account's batches, newest first."""
    return Batch.objects.filter(account=account).order_by("-created_at", "-pk")


def items_of(batch: Batch, show: str | None) -> QuerySet[BatchItem]:
    """The batch's images: all, those that "failed", or the "doubtful": done, but the model was not sure of them."""
    items = batch.items.order_by("position")
    if show == "failed":
        return items.filter(state=State.FAILED)
    if show == "doubtful":
        return items.filter(state=State.DONE, confidence__lt=DOUBTFUL)
    return items


def page_of(rows: QuerySet[Rows], size: int, number: str | None) -> Page[Rows]:
    """One page of the rows; an invalid page number gives the nearest valid page."""
    return Paginator(rows, size).get_page(number)


@dataclass(frozen=True, slots=True)
class Summary:
    """A batch as shown in the list and at the top of its page.

    `states` counts its images by state, and `prices` sums those of their holds, in hundredths of a credit.
    """

    batch: Batch
    states: Counter[str]
    prices: Counter[str]
    now: datetime

    @property
    def total(self) -> int:
        """Total number of images."""
        return self.states.total()

    @property
    def done(self) -> int:
        """Images with a result."""
        return self.states[State.DONE]

    @property
    def charged(self) -> int:
        """What they cost, in hundredths."""
        return self.prices[State.DONE]

    @property
    def held(self) -> int:
        """What is on hold for the others, in hundredths."""
        return sum(self.prices[state] for state in BatchItem.OPEN)

    @property
    def failed(self) -> int:
        """Images without a result because of a fault of their own."""
        return self.states[State.FAILED]

    @property
    def cancelled(self) -> int:
        """Images without a result because the customer cancelled the batch or it expired."""
        return self.states[State.CANCELLED]

    @property
    def still_open(self) -> int:
        """Images waiting or being processed."""
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
        """How many of its images need no more work."""
        return self.total - self.still_open

    @property
    def percent(self) -> int:
        """The percentage that has ended, rounded down: 100 means all."""
        return self.ended * 100 // max(1, self.total)

    @property
    def has_zip(self) -> bool:
        """Whether there is anything to download."""
        return self.is_kept and self.done > 0


@dataclass(frozen=True, slots=True)
class Row:
    """An image of a batch. `is_english`: the reason is the API's English text, because there is no translation."""

    item: BatchItem
    reason: str | Promise
    is_english: bool
    has_result: bool

    @property
    def is_doubtful(self) -> bool:
        """Whether the model was not sure of the result."""
        return self.item.confidence is not None and self.item.confidence < DOUBTFUL


def rows_of(items: Page[BatchItem], *, is_kept: bool) -> list[Row]:
    """The images on a page."""
    return [
        Row(item, *_reason(item.code, item.error), has_result=is_kept and item.state == State.DONE)
        for item in items.object_list
    ]


def _reason(code: str, error: str) -> tuple[str | Promise, bool]:
    """Why an image failed: the API's text for English readers, else the advice for its code."""
    row = catalogue.ROWS.get(code)
    if not error or translation.get_language() == "en" or row is None or not row.advice:
        return error, True
    return row.advice, False


@dataclass(frozen=True, slots=True)
class Attempt:
    """A delivery attempt of a callback. `is_good`: the receiver accepted it."""

    row: CallbackTry
    reason: str
    is_good: bool


def attempts_of(callback: Callback) -> list[Attempt]:
    """The attempts, newest first."""
    rows = callback.attempts.order_by("-number")
    return [Attempt(row, gettext(row.error) if row.error else "", 200 <= (row.status or 0) < 300) for row in rows]


def summarise(batches: Sequence[Batch]) -> list[Summary]:
    """These batches as of now, in one query."""
    states, prices = count_items(batches)
    return [Summary(batch, states[batch.pk], prices[batch.pk], timezone.now()) for batch in batches]
