"""The chart of the customer and staff dashboards: a stacked bar for each day, with an axis of round figures.

Horizontal positions are in percent, vertical ones in pixels: the chart fills any width without distorting text or patterns.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, timedelta

from django.utils.formats import date_format
from django.utils.translation import gettext

from billing.credits.prices import CREDIT, format_credits
from billing.dashboard.usage_report import Report
from billing.models import Bucket

# Heights in pixels: the bars, the line above them with a day's figures, the line below with the dates.
PLOT_HEIGHT = 200
TOP = 28
BOTTOM = 26
# The share of a day's width that its bar fills.
FILL = 0.72
# As many dates as fit along the axis; on a phone, half of them.
MAX_LABELS = 6
GRID_LINES = 4
# The parts of a bar of credits, from the bottom up, each with the pattern drawn over its colour.
CREDIT_PARTS = {"api": "", "app": "app-lines", "prepaid": "prepaid-dots"}


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a day's bar: its kind and pattern, which the style sheets use, and its position in pixels."""

    kind: str
    pattern: str
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class Day:
    """One day: its figures by kind, the same in words, and its position.

    `x`, `bar_x`, `middle` and the widths are percent. `label` counts the dates along the axis; None for a day without one.
    """

    day: date
    figures: Mapping[str, int]
    text: str
    x: str
    width: str
    bar_x: str
    bar_width: str
    middle: str
    parts: Sequence[Part]
    label: int | None

    @property
    def total(self) -> int:
        return sum(self.figures.values())

    @property
    def is_labelled(self) -> bool:
        return self.label is not None

    @property
    def is_minor(self) -> bool:
        """Whether a narrow chart omits the label: every second one."""
        return self.label is not None and self.label % 2 == 1


@dataclass(frozen=True, slots=True)
class Chart:
    """`grid` holds the figure of each line and its distance from the top, in pixels."""

    days: Sequence[Day]
    grid: Sequence[tuple[int, float]]
    plot_height: int = PLOT_HEIGHT
    top: int = TOP
    height: int = TOP + PLOT_HEIGHT + BOTTOM
    ground: int = TOP + PLOT_HEIGHT
    dates_y: int = TOP + PLOT_HEIGHT + 19

    @property
    def used(self) -> list[Day]:
        """The days that have any figures."""
        return [day for day in self.days if day.total]


def draw_credits(report: Report, *, is_rtl: bool = False) -> Chart:
    """The credits of each day of a window."""
    figures = _figures(report)
    by_day = {day: figures.get(day, Counter()) for day in _days(report, figures)}
    return draw(by_day, CREDIT_PARTS, _in_words, unit=CREDIT, is_rtl=is_rtl)


def draw(
    figures: Mapping[date, Mapping[str, int]],
    parts: Mapping[str, str],
    in_words: Callable[[date, Mapping[str, int]], str],
    *,
    unit: int = 1,
    is_rtl: bool = False,
) -> Chart:
    """A chart of the days, in their order. In a right-to-left language, time also runs from the right.

    `parts` are the kinds of figures from the bottom up, each with its pattern. The axis counts in `unit` of them.
    """
    highest = -(-max((sum(of_day.values()) for of_day in figures.values()), default=0) // unit)
    step = round_step(highest)
    top = step * -(-highest // step)
    every = -(-len(figures) // MAX_LABELS)
    bars = []
    for index, (day, of_day) in enumerate(figures.items()):
        x, width = _place(index, len(figures), is_rtl)
        bars.append(
            Day(
                day,
                of_day,
                in_words(day, of_day),
                x=f"{x:.3f}%",
                width=f"{width:.3f}%",
                bar_x=f"{x + width * (1 - FILL) / 2:.3f}%",
                bar_width=f"{width * FILL:.3f}%",
                middle=f"{x + width / 2:.3f}%",
                parts=_stack(of_day, parts, top * unit),
                label=None if index % every else index // every,
            )
        )
    return Chart(bars, [(value, _y(value, top)) for value in range(0, top + 1, step)])


def round_step(highest: int) -> int:
    """The spacing of the grid lines: 1, 2 or 5 times a power of ten, so that about GRID_LINES of them suffice."""
    size = 1
    while True:
        for factor in (1, 2, 5):
            if factor * size * GRID_LINES >= highest:
                return factor * size
        size *= 10


def _figures(report: Report) -> dict[date, Counter[str]]:
    """What was spent on each day, by part, in hundredths of a credit."""
    figures: dict[date, Counter[str]] = {}
    for one in report.spent:
        part = "prepaid" if one.bucket == Bucket.PREPAID else one.channel
        figures.setdefault(one.day, Counter())[part] += one.amount
    return figures


def _days(report: Report, figures: dict[date, Counter[str]]) -> list[date]:
    """Every day of the window, plus days after its end if the renewal was late."""
    first = report.cycle.window.start.astimezone(UTC).date()
    last = (report.cycle.end - timedelta(microseconds=1)).astimezone(UTC).date()
    first, last = min([first, *figures]), max([last, *figures])
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


def _place(index: int, count: int, is_rtl: bool) -> tuple[float, float]:
    """The position and width of a day, in percent."""
    width = 100 / count
    return (100 - (index + 1) * width if is_rtl else index * width), width


def _stack(figures: Mapping[str, int], parts: Mapping[str, str], top: int) -> list[Part]:
    """The parts of a bar, stacked."""
    stacked, below = [], 0
    for kind, pattern in parts.items():
        if count := figures.get(kind):
            y = _y(below + count, top)
            stacked.append(Part(kind, pattern, y, round(_y(below, top) - y, 2)))
            below += count
    return stacked


def _in_words(day: date, figures: Mapping[str, int]) -> str:
    """The credits of a day, in the page's language."""
    words = {kind: format_credits(figures.get(kind, 0), grouped=True) for kind in CREDIT_PARTS}
    total = format_credits(sum(figures.values()), grouped=True)
    words |= {"date": date_format(day, "j M Y"), "total": total}
    return gettext("%(date)s: %(total)s – API %(api)s, web app %(app)s, prepaid %(prepaid)s") % words


def _y(value: int, top: int) -> float:
    return round(TOP + PLOT_HEIGHT * (1 - value / top), 2) if top else TOP + PLOT_HEIGHT
