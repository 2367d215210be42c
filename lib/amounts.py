"""Amounts in hundredths of a unit, each stored in two integer columns of one row: whole units and the rest.

In Python an amount is one integer of hundredths. The columns are two because processes of the release before count in whole
units, and run next to newer ones during an upgrade: their `SET held = held + 1` moves the amount by exactly 100, and their
`WHERE held < …` never takes what is not there, because the whole units are rounded to the safe side. See
docs/adr/0010-hundredths-of-a-credit.md.
"""

from typing import TYPE_CHECKING, Any, Self, overload

from django.db.models import BigIntegerField, F, Model, Sum
from django.db.models.expressions import CombinedExpression
from django.db.models.functions import Cast

UNIT = 100


class Amount(property):
    """A model's attribute in hundredths, of the integer fields `whole` and `<whole>_part`.

    With `up`, whole units are rounded up and the part is -99 to 0: for amounts that use something up. Else they are rounded
    down and the part is 0 to 99: for amounts that can be spent. Every change keeps the part in its range.
    """

    if TYPE_CHECKING:

        @overload
        def __get__(self, row: None, owner: type | None = None) -> Self: ...
        @overload
        def __get__(self, row: object, owner: type | None = None) -> int: ...
        def __get__(self, row: object, owner: type | None = None) -> Self | int: ...

    def __init__(self, whole: str, *, up: bool = False) -> None:
        super().__init__(self._read, self._write)
        self.whole, self.part, self.up = whole, f"{whole}_part", up

    def _read(self, row: Model) -> int:
        total: int = UNIT * getattr(row, self.whole) + getattr(row, self.part)
        return total

    def _write(self, row: Model, hundredths: int) -> None:
        for name, value in self.columns(hundredths).items():
            setattr(row, name, value)

    @property
    def _rounding(self) -> int:
        return UNIT - 1 if self.up else 0

    def columns(self, hundredths: int) -> dict[str, int]:
        """The values of both fields for an amount."""
        whole = (hundredths + self._rounding) // UNIT
        return {self.whole: whole, self.part: hundredths - UNIT * whole}

    def plus(self, hundredths: int) -> dict[str, CombinedExpression]:
        """Both fields changed by an amount, which may be negative, for a queryset's `update`."""
        whole, part = divmod(hundredths, UNIT)
        # Not negative, so that every database rounds the division alike.
        carry = (F(self.part) + (part + self._rounding)) / UNIT
        return {self.whole: F(self.whole) + whole + carry, self.part: F(self.part) + part - carry * UNIT}

    def sum(self, **options: Any) -> CombinedExpression:
        """The sum of the amounts of many rows; `options` as for `Sum`. 0 for no rows."""
        return Sum(self.whole, default=0, **options) * UNIT + Sum(self.part, default=0, **options)

    @property
    def total(self) -> CombinedExpression:
        """The amount of a row, for a queryset."""
        return Cast(self.whole, BigIntegerField()) * UNIT + F(self.part)

    @property
    def sql(self) -> str:
        """The amount in hand-written SQL."""
        return f"{UNIT} * CAST({self.whole} AS bigint) + {self.part}"

    @property
    def plus_sql(self) -> str:
        """`plus` in hand-written SQL, for the parameters of `plus_parameters`."""
        carry = f"({self.part} + %s + {self._rounding}) / {UNIT}"
        return f"{self.whole} = {self.whole} + %s + {carry}, {self.part} = {self.part} + %s - {UNIT} * ({carry})"


def plus_parameters(hundredths: int) -> tuple[int, int, int, int]:
    """The parameters of `plus_sql` for a change by an amount, which may be negative."""
    whole, part = divmod(hundredths, UNIT)
    return whole, part, part, part
