"""The interactive API reference: Swagger UI, its files served by us."""

from django.views.generic import TemplateView


class ReferenceView(TemplateView):
    """The page; `static/reference.js` starts Swagger UI on it, so that no inline script is needed."""

    template_name = "reference.html"
