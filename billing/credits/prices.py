"""What an operation costs. Every amount of credits in the code is a whole number of hundredths of a credit.

An operation's price, times the factor of the model, is read from the table that staff edit. A hold keeps the price that it
was made for: a change applies to later requests only.
"""

import time
from decimal import Decimal, InvalidOperation

from django.db import transaction

from accounts.models import User
from billing.credits.refusals import ReasonRequired
from billing.models import Price, PriceChange
from lib.amounts import UNIT
from lib.sql import select

# Hundredths in one credit, and in the factor of a model that changes no price.
CREDIT = UNIT
IMAGE, PREVIEW = "image", "preview"
# Prices of a table without a row for the operation.
DEFAULTS = {IMAGE: CREDIT, PREVIEW: 25}

_READ = "SELECT kind, name, hundredths FROM billing_price"
# A change takes effect within this time in other processes.
SECONDS = 1.0


class Table:
    """A copy of the prices, read again after SECONDS: a query for each request would take its accounting past its goal."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Read the prices again when they are next needed."""
        self._until, self._prices = 0.0, dict[tuple[str, str], int]()

    def get(self, kind: str, name: str, default: int) -> int:
        """The hundredths of a row, or `default` where there is none."""
        now = time.monotonic()
        if now >= self._until:
            self._prices = {(kind, name): hundredths for kind, name, hundredths in select(_READ)}
            self._until = now + SECONDS
        return self._prices.get((kind, name), default)


table = Table()


def get_price(operation: str, model: str | None = None) -> int:
    """The price of an operation, IMAGE or PREVIEW, in hundredths of a credit.

    `model` is the name of a served model; a version (`name@version`) is ignored. None, or a model without a factor, changes
    no price. The product is rounded to the nearest hundredth, half of one upwards.
    """
    price = table.get("operation", operation, DEFAULTS[operation])
    factor = table.get("model", (model or "").partition("@")[0], CREDIT)
    return (price * factor + CREDIT // 2) // CREDIT


def format_credits(hundredths: int, *, grouped: bool = False) -> str:
    """An amount in credits, with decimals only where there is a fraction: `1`, `0.25`, `-12.5`; `1,250` if grouped."""
    sign, (whole, rest) = "-" if hundredths < 0 else "", divmod(abs(hundredths), CREDIT)
    text = f"{sign}{whole:,}" if grouped else f"{sign}{whole}"
    return f"{text}.{rest:02d}".rstrip("0") if rest else text


def parse_credits(text: str) -> int:
    """The hundredths of what `format_credits` wrote. Raises ValueError for anything else."""
    try:
        return int(Decimal(text) * CREDIT)
    except (InvalidOperation, OverflowError) as error:
        raise ValueError(text) from error


def as_number(hundredths: int) -> int | float:
    """An amount in credits as a number for JSON: an int where it is whole, else a float with at most two decimals."""
    return hundredths / CREDIT if hundredths % CREDIT else hundredths // CREDIT


@transaction.atomic
def change(kind: str, name: str, hundredths: int, *, staff: User, reason: str) -> Price:
    """Set a price or a model's factor, and record who did it and why. A repeat changes nothing. Raises ReasonRequired."""
    if not reason.strip():
        raise ReasonRequired
    price, is_new = Price.objects.select_for_update(no_key=True).get_or_create(
        kind=kind, name=name, defaults={"hundredths": hundredths}
    )
    old = None if is_new else price.hundredths
    if old != hundredths:
        price.hundredths = hundredths
        price.save(update_fields=["hundredths"])
        transaction.on_commit(table.forget)
        PriceChange.objects.create(price=price, staff=staff, old=old, new=hundredths, reason=reason.strip()[:255])
    table.forget()
    return price
