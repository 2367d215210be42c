"""How quick the service is next to `rembg s`: the figures of docs/benchmarks.md that the front page repeats.

A test compares each of them with its row there, so that page and documentation cannot drift apart.
"""

from dataclasses import dataclass
from datetime import date

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

# Of the values in full length; the bars of a figure are relative to its larger value.
_WHOLE = 100.0


@dataclass(frozen=True, slots=True)
class Figure:
    """One row of the table: what was measured, and the smallest and largest value of each server, or one value.

    `row` is the row's name in docs/benchmarks.md. `advantage` is a text with a place for `times`; `has_more` says that more
    is better.
    """

    row: str
    label: str | Promise
    advantage: str | Promise
    ours: tuple[str, ...]
    theirs: tuple[str, ...]
    unit: str = ""
    has_more: bool = False

    @property
    def our_text(self) -> str:
        """Our values, for pages."""
        return self._text(self.ours, "–")

    @property
    def their_text(self) -> str:
        """The values of `rembg s`, for pages."""
        return self._text(self.theirs, "–")

    @property
    def our_bar(self) -> str:
        """The length of our bar, in percent of the longer one."""
        return self._bar(self.ours)

    @property
    def their_bar(self) -> str:
        """The length of the bar of `rembg s`."""
        return self._bar(self.theirs)

    @property
    def gain(self) -> str:
        """How many times better ours is."""
        ours, theirs = _mean(self.ours), _mean(self.theirs)
        return str(self.advantage) % {"times": f"{ours / theirs if self.has_more else theirs / ours:.1f}"}

    def as_row(self) -> str:
        """The beginning of its row in docs/benchmarks.md."""
        return f"| {self.row} | {self._text(self.ours, ' to ')} | {self._text(self.theirs, ' to ')} |"

    def _text(self, values: tuple[str, ...], between: str) -> str:
        return f"{between.join(values)} {self.unit}".rstrip()

    def _bar(self, values: tuple[str, ...]) -> str:
        return f"{_mean(values) / max(_mean(self.ours), _mean(self.theirs)) * _WHOLE:.1f}"


def _mean(values: tuple[str, ...]) -> float:
    return sum(map(float, values)) / len(values)


_RATE_ROW = "1 MP to WebP, 8 clients: images a second"
_MEMORY_ROW = "memory of all processes after 500 mixed pictures from 8 clients (rembg: 80)"
_FASTER = _("%(times)s × as fast")
MEASURED = date(2026, 11, 30)
FIGURES = (
    Figure(
        _RATE_ROW,
        _("Pictures a second, 1 megapixel, eight callers"),
        _("%(times)s × as many"),
        ("6.2",),
        ("1.8", "2.0"),
        has_more=True,
    ),
    Figure("1 MP to WebP, 1 client: p50", _("One picture of 1 megapixel"), _FASTER, ("0.15",), ("0.50",), "s"),
    Figure(
        "12 MP to WebP, 1 client: p50",
        _("One photograph of 12 megapixels"),
        _FASTER,
        ("0.41", "0.48"),
        ("3.0", "3.2"),
        "s",
    ),
    Figure(
        _MEMORY_ROW,
        _("Memory of all processes after 500 pictures (rembg s: 80)"),
        _("%(times)s × less"),
        ("481",),
        ("3989",),
        "MB",
    ),
)
# A processor without instructions for INT8, on which the lead is smaller.
MEASURED_OLDER = date(2026, 11, 29)
OLDER = Figure(_RATE_ROW, "", "", ("0.92",), ("0.77",), has_more=True)


def describe() -> dict[str, object]:
    """What the front page shows."""
    return {"figures": FIGURES, "measured": MEASURED, "older": OLDER, "measured_older": MEASURED_OLDER}
