"""Amounts and names of what is for sale, for pages. Digits and separators are the same in every language."""

import math

from django import template
from django.utils.translation import gettext, gettext_noop, pgettext

from billing.credits.prices import as_number, format_credits

register = template.Library()

# What a new deployment sells. Names that staff make up are shown unchanged.
LABELS = [gettext_noop("Free"), gettext_noop("100 credits"), gettext_noop("500 credits"), gettext_noop("2,000 credits")]


@register.filter
def dollars(cents: int) -> str:
    """US dollars, with cents only if there are any."""
    sign, (whole, rest) = "−" if cents < 0 else "", divmod(abs(cents), 100)
    return f"{sign}${whole:,}.{rest:02d}" if rest else f"{sign}${whole:,}"


@register.filter
def grouped(number: int) -> str:
    """A whole number with thousands separators."""
    return f"{number:,}"


@register.filter
def credits(hundredths: int) -> str:
    """An amount of credits with thousands separators, and with decimals only if there are any."""
    return format_credits(hundredths, grouped=True)


@register.filter
def plain_credits(hundredths: int) -> str:
    """An amount of credits for attributes: without separators."""
    return format_credits(hundredths)


@register.filter
def rounded_up(credits: float) -> int:
    """The whole number that chooses between singular and plural."""
    return math.ceil(credits)


@register.filter
def as_credits(hundredths: int) -> int | float:
    """An amount of credits as a number."""
    return as_number(hundredths)


@register.filter
def localised(label: str) -> str:
    """A plan's or pack's label in the page's language, if it is one of LABELS."""
    return gettext(label) if label in LABELS else label


@register.filter
def invoice_status(status: str) -> str:
    """Stripe's word for the state of an invoice, in the page's language."""
    names = {
        "draft": pgettext("invoice", "Draft"),
        "open": pgettext("invoice", "Open"),
        "paid": pgettext("invoice", "Paid"),
        "uncollectible": pgettext("invoice", "Uncollectible"),
        "void": pgettext("invoice", "Void"),
    }
    return names.get(status, status)
