"""Pieces of documentation pages."""

import html
from typing import Any

from django import template
from django.template.loader import get_template
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext

from website.samples import coloured, placed, samples

register = template.Library()


@register.simple_tag(takes_context=True)
def section(context: dict[str, Any], anchor: str) -> SafeString:
    """The heading of a section of the page, with a link to itself. Raises KeyError for one that the page does not list."""
    title = context["page"].sections[anchor]
    label = gettext("Link to this section")
    return format_html('<h2 id="{0}">{1} <a class="anchor" href="#{0}" aria-label="{2}">#</a></h2>', anchor, title, label)


@register.inclusion_tag("docs/tabs.html", takes_context=True, name="samples")
def samples_tag(context: dict[str, Any], task: str) -> dict[str, Any]:
    """A task in all languages."""
    return {"task": task, "samples": samples(task, context["base_url"])}


@register.simple_block_tag(takes_context=True)
def codeblock(context: dict[str, Any], content: str, lexer: str) -> SafeString:
    """Lines of code, highlighted as `lexer` (Pygments' name of the language)."""
    code = coloured(placed(html.unescape(content).strip("\n"), context["base_url"]), lexer)
    return mark_safe(get_template("docs/code.html").render({"code": code}))  # noqa: S308  (a template escapes)
