"""The front page and the editor. JavaScript and `/rmbg` process the images on them."""

from csp.decorators import csp_update
from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.caller import get_signed_in
from billing.credits.prices import IMAGE, PREVIEW, get_price
from billing.membership import balance
from imaging.batches.overview import DOUBTFUL
from imaging.core.options import MAX_DPI, MAX_MARGIN_PERCENT, MAX_MARGIN_PIXELS, MAX_PADDING_PERCENT, MIN_SCALE
from imaging.core.outputs import MAX_NAME, MAX_OUTPUTS
from imaging.core.presets import PRESETS
from imaging.core.values import MAX_SIDE
from imaging.executor import models
from imaging.removal.models_api import describe_models
from website import speed
from website.content_policy import WEBASSEMBLY
from website.offers import find_packs, find_plans
from website.showcase import SAMPLES


def modules(*names: str) -> list[str]:
    """What a page's modules import: listed for the browser up front, so that it need not discover them one by one."""
    return [f"imaging/{name}.js" for name in names]


_BOTH = (
    "api",
    "canvas",
    "compare",
    "copy",
    "encoders",
    "engine/raster",
    "engine/refusal",
    "engine/surfaces",
    "files",
    "formats",
    "messages",
    "names",
)
HOME_MODULES = modules(*_BOTH)
EDITOR_MODULES = modules(
    *_BOTH,
    "api-call",
    "balance",
    "batch",
    "brush/touch-ups",
    "doubt",
    "downloads",
    "editor",
    "engine/foreman",
    "engine/values",
    "geometry",
    "handles",
    "history",
    "keeper",
    "many",
    "naming",
    "options",
    "outputs",
    "panels/background",
    "panels/canvas-panel",
    "panels/fields",
    "panels/panel",
    "panels/problems",
    "panels/results",
    "panels/simple",
    "panels/words",
    "picture",
    "presets",
    "previews",
    "queue",
    "queue-view",
    "same",
    "selection",
    "settings",
    "stage",
    "store",
    "thumbs",
)
FORMATS = [("webp", "WebP"), ("png", "PNG"), ("jpeg", "JPEG"), ("bmp", "BMP")]
# What the editor's fields may hold: the server's own limits.
LIMITS = {
    "side": MAX_SIDE,
    "scale": MIN_SCALE,
    "margin_pixels": MAX_MARGIN_PIXELS,
    "margin_percent": MAX_MARGIN_PERCENT,
    "padding_percent": MAX_PADDING_PERCENT,
    "dpi": MAX_DPI,
    "outputs": MAX_OUTPUTS,
    "output_name": MAX_NAME,
}
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


def describe_presets() -> dict[str, dict[str, object]]:
    """The presets of marketplaces, for the editor's script; their rules in the reader's language."""
    return {
        key: {"name": preset.name, "rule": gettext(preset.rule), "read": preset.read, "fields": preset.fields}
        for key, preset in PRESETS.items()
    }


@require_safe
@login_required
@never_cache
@csp_update(WEBASSEMBLY)
def editor(request: HttpRequest) -> HttpResponse:
    """The multi-image editor, for customers."""
    context = {
        "modules": EDITOR_MODULES,
        "formats": FORMATS,
        "limits": LIMITS,
        "presets": PRESETS,
        "preset_table": describe_presets(),
        "models": [{**model, "speed": SPEEDS.get(model["speed"])} for model in describe_models()],
        "balance": balance.describe(get_signed_in(request)),
        # For a script: no language's decimal comma.
        "doubtful": str(DOUBTFUL),
        "price": get_price(IMAGE, models.default_name()),
    }
    return render(request, "imaging/editor.html", context)
