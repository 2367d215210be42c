"""The outcome of a call in a short sentence for the customer. The code next to it is the one that the API returned."""

from django.utils.translation import gettext_lazy as _

from lib.web import catalogue

DELIVERED = _("Delivered")
_REFUSED, _FAILED = _("Refused"), _("A fault on our side")


def describe(status: int, code: str) -> str:
    """The sentence, in the page's language. Old records may have codes that are no longer in the catalogue."""
    if status < 400:
        return str(DELIVERED)
    row = catalogue.ROWS.get(code)
    return str(row.label if row and row.label else _REFUSED if status < 500 else _FAILED)
