"""Every error of the product, by code. A new error is one row here and its translations. A view raises it as
`ApiError(code, …)`; for an exception of the domain, the `errors` module of its app names the code.

The error guide, the dashboard, the OpenAPI document, error pages and our scripts read these rows.
"""

from collections.abc import Mapping
from types import MappingProxyType

from django.utils.translation import gettext_lazy as _

from lib.web.catalogue import batches, callers, compat, images, pages, requests
from lib.web.catalogue.row import Row, Text

ROWS: Mapping[str, Row] = MappingProxyType(
    {**requests.ROWS, **callers.ROWS, **images.ROWS, **compat.ROWS, **batches.ROWS, **pages.ROWS}
)
# The code of the error for a bare HTTP status.
DEFAULTS: Mapping[int, str] = MappingProxyType({row.status: code for code, row in ROWS.items() if row.is_default})
# Labels of the links that hints end with. Their targets are in the page's `data-` attributes.
LINKS: Mapping[str, Text] = MappingProxyType(
    {
        "signup": _("Sign up for free"),
        "pricing": _("See pricing"),
        "batchPages": _("See your batches"),
        "login": _("Log in"),
        "email": _("Verify the address"),
    }
)


def message(code: str, **parameters: object) -> str:
    """The API's text of an error, in the active language. Raises KeyError for an unknown code or a missing parameter."""
    return str(ROWS[code].message).format(**parameters)


def hints() -> dict[str, dict[str, str]]:
    """What our scripts show for an error, by code, in the active language: `text`, and a link's `link` and `label`."""
    return {code: _hint(row) for code, row in ROWS.items() if row.hint}


def _hint(row: Row) -> dict[str, str]:
    assert row.hint is not None  # noqa: S101 - for mypy
    link = {"link": row.hint.link, "label": str(LINKS[row.hint.link])} if row.hint.link else {}
    return {"text": str(row.hint.text), **link}
