"""The front page and the editor. JavaScript and `/rmbg` process the images on them."""

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.caller import get_signed_in
from billing.credits.prices import IMAGE, PREVIEW, get_price
from billing.membership import balance
from imaging.executor import models
from imaging.removal.models_api import describe_models
from website import speed
from website.offers import find_packs, find_plans
from website.showcase import SAMPLES


def modules(*names: str) -> list[str]:
    """What a page's modules import: listed for the browser up front, so that it need not discover them one by one."""
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
    "options",
    "picture",
    "queue",
    "queue-view",
    "settings",
    "stage",
)
FORMATS = [("webp", "WebP"), ("png", "PNG"), ("jpeg", "JPEG"), ("bmp", "BMP")]
SPEEDS = {"fast": _("fast"), "medium": _("medium speed"), "slow": _("slow")}


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """The public front page, with a live demo."""
    context = {
        "modules": HOME_MODULES,
        "plans": find_plans(),
        "packs": find_packs(),
        "image_price": get_price(IMAGE, models.default_name()),
        "preview_price": get_price(PREVIEW, models.default_name()),
        "free_a_day": settings.ANONYMOUS_IMAGES_PER_DAY,
        "batch_hours": settings.BATCH_HOURS,
        "improve_is_on": bool(settings.IMPROVE_FOLDER),
        "endpoint": request.build_absolute_uri(reverse("rmbg")),
        "removebg_endpoint": request.build_absolute_uri(reverse("compat-removebg")),
        "samples": SAMPLES,
        "speed": speed.describe(),
    }
    return render(request, "imaging/home.html", context)


@require_safe
@login_required
@never_cache
def editor(request: HttpRequest) -> HttpResponse:
    """The multi-image editor, for customers."""
    context = {
        "modules": EDITOR_MODULES,
        "formats": FORMATS,
        "models": [{**model, "speed": SPEEDS.get(model["speed"])} for model in describe_models()],
        "balance": balance.describe(get_signed_in(request)),
        "price": get_price(IMAGE, models.default_name()),
    }
    return render(request, "imaging/editor.html", context)
