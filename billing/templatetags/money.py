"""Amounts of money on pages."""

from django import template

register = template.Library()


@register.filter
def dollars(cents: int) -> str:
    """US dollars, with cents only where there are any."""
    whole, rest = divmod(cents, 100)
    return f"${whole:,}.{rest:02d}" if rest else f"${whole:,}"
