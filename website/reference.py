"""The OpenAPI document, and its interactive reference: Swagger UI, served from our own files."""

from django.views.generic import TemplateView
from drf_spectacular.renderers import OpenApiJsonRenderer2, OpenApiYamlRenderer
from drf_spectacular.views import SpectacularAPIView


class OpenApiView(SpectacularAPIView):
    """The document: JSON, or YAML for `?format=yaml`."""

    renderer_classes = [OpenApiJsonRenderer2, OpenApiYamlRenderer]


class ReferenceView(TemplateView):
    """The page; `static/reference.js` starts Swagger UI on it, so that no inline script is needed."""

    template_name = "reference.html"
