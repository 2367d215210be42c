"""Tables as CSV files: streamed, readable by spreadsheets, and safe to open in them."""

import csv
from collections.abc import Iterable, Iterator, Sequence

from django.http import StreamingHttpResponse

# Without it, spreadsheets read UTF-8 as the system's encoding.
BYTE_ORDER_MARK = "\ufeff"
# First characters that make a spreadsheet run a cell: OWASP's list for CSV injection.
_RUNS = ("=", "+", "-", "@", "\t", "\r", "\n")

Cell = str | int | float


class _Echo:
    """A file whose `write` returns the text."""

    def write(self, text: str) -> str:
        return text


def harmless(cell: Cell) -> Cell:
    """Prefix text that a spreadsheet would read as a formula with an apostrophe."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_RUNS) else cell


def lines(header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Iterator[str]:
    """The file's lines, one at a time."""
    writer = csv.writer(_Echo())
    yield BYTE_ORDER_MARK + writer.writerow(header)
    for row in rows:
        yield writer.writerow([harmless(cell) for cell in row])


def download(name: str, header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> StreamingHttpResponse:
    """A response that a browser saves as `name`, which is plain ASCII and never user input."""
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return StreamingHttpResponse(lines(header, rows), content_type="text/csv; charset=utf-8", headers=headers)
