"""The migration calculator: what a month of calls to remove.bg costs here, with the plans and prices of this deployment."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from billing.credits.prices import CREDIT, IMAGE, PREVIEW, format_credits, get_price
from billing.models import CreditPack, Plan

MAX_CALLS = 10_000_000
DEFAULT_IMAGES, DEFAULT_PREVIEWS = 500, 1000


@dataclass(frozen=True, slots=True)
class Month:
    """Calls a month: `images` at a full size, and `previews` of 0.25 megapixels."""

    images: int
    previews: int

    @property
    def their_credits(self) -> str:
        """What remove.bg would charge: 1 and 0.25."""
        return format_credits(self.images * 100 + self.previews * 25)


@dataclass(frozen=True, slots=True)
class Offer:
    """A plan with the packs that a month needs beyond it. `needed` are credits as text, `cents` the whole price."""

    plan: Plan
    needed: str
    packs: list[tuple[int, CreditPack]]
    cents: int


def parse_month(query: Mapping[str, str]) -> Month:
    """The calls that a reader entered; the defaults in place of what is not a number."""
    return Month(_number(query, "images", DEFAULT_IMAGES), _number(query, "previews", DEFAULT_PREVIEWS))


def find_offers(month: Month) -> list[Offer]:
    """Every plan that can deliver the month, the cheapest first. A plan falls out if no pack can fill what it lacks."""
    packs = list(CreditPack.objects.filter(is_listed=True))
    prices = get_price(IMAGE), get_price(PREVIEW)
    offers = [offer for plan in Plan.objects.all() if (offer := _find_offer(plan, packs, month, prices))]
    offers.sort(key=lambda offer: (offer.cents, offer.plan.position))
    return offers


def _find_offer(plan: Plan, packs: list[CreditPack], month: Month, prices: tuple[int, int]) -> Offer | None:
    previews = max(0, month.previews - plan.free_previews)
    needed = month.images * prices[0] + previews * prices[1]
    missing = math.ceil(max(0, needed - plan.included_credits * CREDIT) / CREDIT)
    chosen = cheapest_packs(missing, packs)
    if chosen is None:
        return None
    cents = plan.price_cents + sum(count * pack.price_cents for count, pack in chosen)
    return Offer(plan, format_credits(needed), chosen, cents)


def cheapest_packs(missing: int, packs: list[CreditPack]) -> list[tuple[int, CreditPack]] | None:
    """Packs of at least `missing` credits: as many of the largest as fit, and the cheapest one for the rest.

    None if there are no packs. What is left over is not lost: prepaid credits last.
    """
    if not missing:
        return []
    if not packs:
        return None
    largest = max(packs, key=lambda pack: pack.credits)
    count, rest = divmod(missing, largest.credits)
    last = min(packs, key=lambda pack: (math.ceil(rest / pack.credits) * pack.price_cents, pack.credits)) if rest else None
    if last == largest:
        return [(count + 1, largest)]
    chosen = [(count, largest)] if count else []
    return [*chosen, (math.ceil(rest / last.credits), last)] if last else chosen


def _number(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name, "").strip()
    return min(int(text), MAX_CALLS) if text.isascii() and text.isdigit() and len(text) <= 12 else default
