"""The sample pictures, for templates that more than one view renders."""

from django import template

from website.showcase import SAMPLES, Sample

register = template.Library()


@register.simple_tag
def sample_pictures() -> tuple[Sample, ...]:
    """All of them, in the order in which pages show them."""
    return SAMPLES
