"""What came of a call, in a short sentence for its customer. The code beside it is the one that the API answered."""

from django.utils.translation import gettext_lazy as _

from lib.web import catalogue

DELIVERED = _("Delivered")
_REFUSED, _FAILED = _("Refused"), _("A fault on our side")


def describe(status: int, code: str) -> str:
    """The sentence, in the language of the page. Rows of old calls may have codes that the catalogue has no more."""
    if status < 400:
        return str(DELIVERED)
    row = catalogue.ROWS.get(code)
    return str(row.label if row and row.label else _REFUSED if status < 500 else _FAILED)
