"""Tags of the support desk for the admin's templates."""

from typing import Any

from django import template
from django.template import Context
from django.utils.html import format_html

from billing.support import dashboard

register = template.Library()


@register.simple_tag(takes_context=True)
def desk_figures(context: Context) -> dict[str, Any] | None:
    """The figures of the day, for those who may see accounts."""
    user = context["request"].user
    return dashboard.figures() if user.has_perm("billing.view_account") else None


@register.simple_tag
def at_stripe(kind: str, stripe_id: str) -> str:
    """A link to an object in Stripe's dashboard, which detects test mode itself."""
    if not stripe_id:
        return ""
    return format_html('<a href="https://dashboard.stripe.com/{}/{}" rel="noreferrer">{}</a>', kind, stripe_id, stripe_id)
