"""Every error of the API and what a caller can do about it."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from billing.membership import openapi as billing_schema
from imaging.batches import openapi as batch_schema
from imaging.compat import openapi as compat_schema
from imaging.compat.errors import shape
from imaging.removal import openapi as imaging_schema
from lib.web import catalogue
from lib.web.catalogue.row import Text
from lib.web.errors import ApiError, from_status


@dataclass(frozen=True, slots=True)
class Row:
    """One row of an error table. `anchor` is empty for a code whose anchor is already further up.

    `source` is the row of the catalogue; `code` is another one where the error has another service's shape.
    """

    status: int
    code: str
    text: str
    advice: Text
    retry_after: bool
    anchor: str
    source: str


def rmbg_errors() -> list[Row]:
    """Every error that `/rmbg` can return."""
    listed = (error for _, examples in imaging_schema.ERRORS.values() for error in examples)
    return _rows([*listed, from_status(404)])


def batch_errors() -> list[Row]:
    """The errors of `/api/batches` and its items that `/rmbg` does not have."""
    rmbg = rmbg_errors()
    texts, anchors = {row.text for row in rmbg}, {row.anchor for row in rmbg}
    rows = _rows(error for error in [*batch_schema.ERRORS, *batch_schema.OF_AN_ITEM] if error.message not in texts)
    return [replace(row, anchor="") if row.anchor in anchors else row for row in rows]


def membership_errors() -> list[Row]:
    """The errors of `/api/membership-usage` that `/rmbg` does not have, and those of its parameters."""
    return _rows(billing_schema.BAD_REQUESTS)


def compat_errors() -> list[Row]:
    """Every error of `/v1.0/`, as it is sent there."""
    listed = [error for _, examples in compat_schema.ERRORS.values() for error in examples]
    return [_compat_row(error) for error in [*listed, ApiError("improve_disabled"), ApiError("improve_limit_reached")]]


def _compat_row(error: ApiError) -> Row:
    status, headers, body = shape(error)
    [entry] = body["errors"]
    text = ": ".join(filter(None, (entry["title"], entry.get("detail", ""))))
    advice = catalogue.ROWS[error.code].advice
    return Row(status, entry["code"], text, advice, "Retry-After" in headers, "", error.code)


def _rows(errors: Iterable[ApiError]) -> list[Row]:
    seen: set[str] = set()
    rows = []
    for error in sorted(errors, key=lambda error: error.status):
        anchor = "" if error.code in seen else error.code
        seen.add(error.code)
        advice, retry_after = catalogue.ROWS[error.code].advice, "Retry-After" in error.headers
        rows.append(Row(error.status, error.code, error.message, advice, retry_after, anchor, error.code))
    return rows
