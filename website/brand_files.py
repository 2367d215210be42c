"""`/brand/…`: the files that are made from the operator's brand. Their addresses change with their contents."""

import io
from collections.abc import Callable, Mapping
from functools import lru_cache

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_safe
from PIL import Image

from lib import brand
from lib.brand import Brand
from lib.brand.colours import Accents
from lib.brand.logo import Logo
from website.social_preview import draw_preview

# Pixels.
_FAVICON_SIDES = (16, 32, 48)
_TOUCH_SIDE, _TOUCH_PADDING = 180, 16
_FOREVER = "public, max-age=31536000, immutable"
# An SVG that is opened directly is a document: in this sandbox it runs no script, sends no form and loads nothing.
_LOGO_POLICY = "default-src 'none'; img-src data:; font-src data:; style-src 'unsafe-inline'; sandbox"


@require_safe
def brand_file(request: HttpRequest, digest: str, name: str) -> HttpResponse:
    """One file of the brand. Raises Http404 for an unknown one.

    While an upgrade runs, pages of the other release ask for its addresses: they get our file, and have to ask for it again.
    """
    current = brand.current()
    if name not in _makers(current):
        raise Http404
    data, media_type = _make(current, name)
    response = HttpResponse(data, content_type=media_type)
    response.headers["Cache-Control"] = _FOREVER if digest == current.digest else "no-cache"
    if media_type == "image/svg+xml":
        response.headers["Content-Security-Policy"] = _LOGO_POLICY
    return response


@require_safe
def favicon(request: HttpRequest) -> HttpResponse:
    """`/favicon.ico`, which browsers and mail programs request without reading a page."""
    return HttpResponseRedirect(reverse("brand-file", args=[brand.current().digest, "favicon.ico"]))


def _makers(current: Brand) -> Mapping[str, Callable[[], tuple[bytes, str]]]:
    """What makes each file, by its name: its bytes and media type."""
    return {
        current.logo.file_name: lambda: (current.logo.data, current.logo.media_type),
        "favicon.ico": lambda: (_favicon(current.logo), "image/x-icon"),
        "apple-touch-icon.png": lambda: (_touch_icon(current.logo), "image/png"),
        "social.jpg": lambda: (draw_preview(current), "image/jpeg"),
        "accents.css": lambda: (_style_sheet(current.light, current.dark), "text/css; charset=utf-8"),
    }


@lru_cache(maxsize=16)
def _make(current: Brand, name: str) -> tuple[bytes, str]:
    """The bytes and media type of a file. A process makes each once."""
    return _makers(current)[name]()


def _favicon(logo: Logo) -> bytes:
    buffer = io.BytesIO()
    *small, largest = (logo.drawn(side, side) for side in _FAVICON_SIDES)
    largest.save(buffer, "ICO", sizes=[(side, side) for side in _FAVICON_SIDES], append_images=small)
    return buffer.getvalue()


def _touch_icon(logo: Logo) -> bytes:
    """On white: where an icon is transparent, telephones show black."""
    icon = Image.new("RGB", (_TOUCH_SIDE, _TOUCH_SIDE), "white")
    inner = _TOUCH_SIDE - 2 * _TOUCH_PADDING
    drawn = logo.drawn(inner, inner)
    icon.paste(drawn, (_TOUCH_PADDING, _TOUCH_PADDING), drawn)
    buffer = io.BytesIO()
    icon.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _style_sheet(light: Accents, dark: Accents) -> bytes:
    """The accents, in place of those in tokens.css: that sheet has them in a layer, and this one is in none."""
    fields = {"accent": "accent", "accent-strong": "strong", "accent-soft": "soft", "on-accent": "on_accent"}
    rules = (
        f"--color-{token}:light-dark({getattr(light, field)},{getattr(dark, field)});" for token, field in fields.items()
    )
    return f":root{{{''.join(rules)}}}\n".encode()
