"""What the API shows of a batch besides its columns. `imaging.batches.serializers` turns it into the response."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from django.db.models import Count, F, Sum, prefetch_related_objects
from django.urls import reverse

from imaging.models import Batch, BatchItem

State = BatchItem.State


@dataclass(frozen=True, slots=True)
class ItemFacts:
    """An item, and the URL of its result while it has one."""

    item: BatchItem
    result_url: str | None


@dataclass(frozen=True, slots=True)
class BatchFacts:
    """A batch. `states` counts its items by state, and `prices` sums those of their holds, in hundredths of a credit.

    URLs begin with `base_url`; `items` is empty for a summary.
    """

    batch: Batch
    states: Counter[str]
    prices: Counter[str]
    base_url: str
    items: list[ItemFacts] = field(default_factory=list)

    @property
    def total(self) -> int:
        """Total number of items."""
        return self.states.total()

    @property
    def held(self) -> int:
        """What is on hold for the items that are not done yet, in hundredths."""
        return sum(self.prices[state] for state in BatchItem.OPEN)

    @property
    def charged(self) -> int:
        """What the items that are done cost, in hundredths."""
        return self.prices[State.DONE]

    @property
    def url(self) -> str:
        """The batch's URL."""
        return self.base_url + reverse("batch", args=[self.batch.pk])

    @property
    def zip_url(self) -> str | None:
        """The URL of all results as one zip, while there are any."""
        has_zip = self.states[State.DONE] > 0 and self.batch.erased_at is None
        return self.base_url + reverse("batch-zip", args=[self.batch.pk]) if has_zip else None


def describe(batch: Batch, base_url: str) -> BatchFacts:
    """One batch with its items."""
    items = list(batch.items.annotate(price=F("hold__price")).order_by("position"))
    facts = [ItemFacts(item, _find_result_url(batch, item, base_url)) for item in items]
    prices = Counter[str]()
    for item in items:
        prices[item.state] += item.price or 0
    return BatchFacts(batch, Counter(item.state for item in items), prices, base_url, facts)


def summarise(batches: Sequence[Batch], base_url: str) -> list[BatchFacts]:
    """Batches without their items."""
    states, prices = count_items(batches)
    prefetch_related_objects(batches, "callback__attempts")
    return [BatchFacts(batch, states[batch.pk], prices[batch.pk], base_url) for batch in batches]


def count_items(batches: Iterable[Batch]) -> tuple[dict[UUID, Counter[str]], dict[UUID, Counter[str]]]:
    """The number of items in each state, and the sum of their prices in hundredths, per batch, in one query."""
    batches = list(batches)
    states: dict[UUID, Counter[str]] = {batch.pk: Counter() for batch in batches}
    prices: dict[UUID, Counter[str]] = {batch.pk: Counter() for batch in batches}
    rows = BatchItem.objects.filter(batch__in=batches).order_by().values_list("batch", "state")
    for batch_id, state, number, price in rows.annotate(Count("pk"), Sum("hold__price", default=0)):
        states[batch_id][state], prices[batch_id][state] = number, price
    return states, prices


def _find_result_url(batch: Batch, item: BatchItem, base_url: str) -> str | None:
    is_there = item.state == State.DONE and batch.erased_at is None
    return base_url + reverse("batch-item", args=[batch.pk, item.position]) if is_there else None
