"""Amounts of money and of credits on pages."""

from django import template

register = template.Library()


@register.filter
def dollars(cents: int) -> str:
    """US dollars, with cents only where there are any."""
    sign, (whole, rest) = "−" if cents < 0 else "", divmod(abs(cents), 100)
    return f"{sign}${whole:,}.{rest:02d}" if rest else f"{sign}${whole:,}"


@register.filter
def grouped(number: int) -> str:
    """A whole number with its thousands apart."""
    return f"{number:,}"
