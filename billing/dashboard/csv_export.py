"""Tables as CSV files: streamed, readable by spreadsheets, and harmless in them."""

import csv
from collections.abc import Iterable, Iterator, Sequence

from django.http import StreamingHttpResponse

# Without it, spreadsheets take UTF-8 for the system's own encoding.
BYTE_ORDER_MARK = "\ufeff"
# What a cell begins with that a spreadsheet would run: OWASP's list for CSV injection.
_RUNS = ("=", "+", "-", "@", "\t", "\r", "\n")

Cell = str | int


class _Echo:
    """A file that hands back what is written to it."""

    def write(self, text: str) -> str:
        return text


def harmless(cell: Cell) -> Cell:
    """A text that a spreadsheet would take for a formula gets an apostrophe in front."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_RUNS) else cell


def lines(header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Iterator[str]:
    """The file's lines, one at a time."""
    writer = csv.writer(_Echo())
    yield BYTE_ORDER_MARK + writer.writerow(header)
    for row in rows:
        yield writer.writerow([harmless(cell) for cell in row])


def download(name: str, header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> StreamingHttpResponse:
    """The answer that a browser saves as `name`, which is ours and plain ASCII."""
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return StreamingHttpResponse(lines(header, rows), content_type="text/csv; charset=utf-8", headers=headers)
