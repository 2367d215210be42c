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

    While an upgrade runs, pages of the other release ask for its addresses: they get our file, which no cache keeps.
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


_Maker = Callable[[Brand], tuple[bytes, str]]


def _makers(current: Brand) -> Mapping[str, _Maker]:
    return {
        current.logo.file_name: lambda brand: (brand.logo.data, brand.logo.media_type),
        "favicon.ico": lambda brand: (_favicon(brand), "image/x-icon"),
        "apple-touch-icon.png": lambda brand: (_touch_icon(brand), "image/png"),
        "social.jpg": lambda brand: (draw_preview(brand), "image/jpeg"),
        "accents.css": lambda brand: (_style_sheet(brand).encode(), "text/css; charset=utf-8"),
    }


@lru_cache(maxsize=16)
def _make(current: Brand, name: str) -> tuple[bytes, str]:
    """The bytes and media type of a file. A process makes each once."""
    return _makers(current)[name](current)


def _favicon(brand: Brand) -> bytes:
    buffer = io.BytesIO()
    *small, largest = (brand.logo.drawn(side, side) for side in _FAVICON_SIDES)
    largest.save(buffer, "ICO", sizes=[(side, side) for side in _FAVICON_SIDES], append_images=small)
    return buffer.getvalue()


def _touch_icon(brand: Brand) -> bytes:
    """On white: where an icon is transparent, telephones show black."""
    icon = Image.new("RGB", (_TOUCH_SIDE, _TOUCH_SIDE), "white")
    inner = _TOUCH_SIDE - 2 * _TOUCH_PADDING
    drawn = brand.logo.drawn(inner, inner)
    icon.paste(drawn, (_TOUCH_PADDING, _TOUCH_PADDING), drawn)
    buffer = io.BytesIO()
    icon.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _style_sheet(brand: Brand) -> str:
    """The accents, in place of those in tokens.css: that sheet has them in a layer, and this one is in none."""
    return f":root{{{''.join(_tokens(brand.light, brand.dark))}}}\n"


def _tokens(light: Accents, dark: Accents) -> list[str]:
    names = {"accent": "accent", "strong": "accent-strong", "soft": "accent-soft", "on_accent": "on-accent"}
    return [f"--color-{token}:light-dark({getattr(light, field)},{getattr(dark, field)});" for field, token in names.items()]
