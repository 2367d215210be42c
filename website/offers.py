"""What a picture costs with each plan and pack, for the front page."""

import math
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from billing.credits.prices import CREDIT, IMAGE, get_price
from billing.models import CreditPack, Plan
from imaging.executor import models


@dataclass(frozen=True, slots=True)
class Offer:
    """A plan or a pack. `pictures` are those that its credits pay for, `cents` its whole price.

    `each` is the price of one picture in cents, with at most two decimals; empty where it costs nothing or cannot be said.
    """

    label: str
    cents: int
    pictures: int
    each: str
    free_previews: int = 0

    @property
    def each_rounded(self) -> int:
        """Whole cents of one picture, for the plural of its price."""
        return math.ceil(Decimal(self.each or 0))


def find_plans() -> list[Offer]:
    """Every plan, in the order of the pricing page."""
    price = _price()
    plans = Plan.objects.all()
    return [_offer(plan.label, plan.price_cents, plan.included_credits, price, plan.free_previews) for plan in plans]


def find_packs() -> list[Offer]:
    """Every pack that is for sale, the smallest first."""
    price = _price()
    packs = CreditPack.objects.filter(is_listed=True)
    return [_offer(pack.label, pack.price_cents, pack.credits, price) for pack in packs]


def _price() -> int:
    """Hundredths of a credit for a picture, with the default model."""
    return get_price(IMAGE, models.default_name())


def _offer(label: str, cents: int, credits: int, price: int, free_previews: int = 0) -> Offer:
    # A price of 0 would make every picture free.
    pictures = credits * CREDIT // price if price else credits
    each = _in_cents(cents, pictures) if cents and pictures else ""
    return Offer(label, cents, pictures, each, free_previews)


def _in_cents(cents: int, pictures: int) -> str:
    rounded = (Decimal(cents) / pictures).quantize(Decimal("0.01"), ROUND_HALF_UP)
    return f"{rounded.normalize():f}"
