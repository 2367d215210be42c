"""The front page and the editor. What happens to the pictures on them is JavaScript's and `/rmbg`'s."""

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.caller import get_signed_in
from billing.membership import balance
from billing.models import Plan


def modules(*names: str) -> list[str]:
    """What a page's modules import: named to the browser at once, so that it need not find one after the other."""
    return [f"imaging/{name}.js" for name in names]


_BOTH = ("api", "canvas", "compare", "files", "messages", "names")
HOME_MODULES = modules(*_BOTH)
EDITOR_MODULES = modules(
    *_BOTH,
    "balance",
    "batch",
    "compositor",
    "downloads",
    "encoders",
    "geometry",
    "picture",
    "queue",
    "queue-view",
    "settings",
    "stage",
)
FORMATS = [("webp", "WebP"), ("png", "PNG"), ("jpeg", "JPEG"), ("bmp", "BMP")]


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """What this is, with a live demo. For everybody."""
    context = {
        "modules": HOME_MODULES,
        "plans": Plan.objects.all(),
        "free_a_day": settings.ANONYMOUS_IMAGES_PER_DAY,
        "endpoint": request.build_absolute_uri(reverse("rmbg")),
    }
    return render(request, "imaging/home.html", context)


@require_safe
@login_required
@never_cache
def editor(request: HttpRequest) -> HttpResponse:
    """The editor of many pictures, for customers."""
    context = {"modules": EDITOR_MODULES, "formats": FORMATS, "balance": balance.describe(get_signed_in(request))}
    return render(request, "imaging/editor.html", context)
