"""`/metrics`: the metrics of this deployment, for its operators only."""

import ipaddress
import secrets

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST

from lib.ops import metrics

# Headers of a proxy: if one is present the peer is the proxy, and the caller is unknown.
FORWARDED = ("HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_X_REAL_IP", "HTTP_VIA")


@require_safe
@never_cache
def metrics_page(request: HttpRequest) -> HttpResponse:
    """All metrics as Prometheus reads them. Raises Http404 for everyone else, as if the address did not exist."""
    if not (_has_token(request) or _is_near(request)):
        raise Http404
    return HttpResponse(metrics.exposition(), content_type=CONTENT_TYPE_LATEST)


def _has_token(request: HttpRequest) -> bool:
    """`Authorization: Bearer METRICS_TOKEN`."""
    expected = f"Bearer {settings.METRICS_TOKEN}"
    given = request.headers.get("Authorization", "")
    return bool(settings.METRICS_TOKEN) and secrets.compare_digest(given.encode(), expected.encode())


def _is_near(request: HttpRequest) -> bool:
    """Whether the peer itself, not a client behind it, is in METRICS_NETWORKS."""
    if any(header in request.META for header in FORWARDED):
        return False
    try:
        peer = ipaddress.ip_address(request.META.get("REMOTE_ADDR", ""))
    except ValueError:
        return False
    return any(peer in network for network in settings.METRICS_NETWORKS)
