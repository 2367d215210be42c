"""Presets: the fields that make an image as a marketplace wants its product images.

A new one is one row of PRESETS. Each rule is that of the marketplace's public guide for sellers, in our own words, as read
in the month given; a marketplace may change it at any time. Where a guide names a range, the fields are well inside it.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from imaging.core.problems import Problem
from imaging.core.values import is_true, shortened


def _(text: str) -> str:
    """Marks a rule for translation: the documentation shows it in its reader's language."""
    return text


@dataclass(frozen=True, slots=True)
class Preset:
    """`name` is the marketplace's, `rule` what it publishes, `read` when (year and month), `fields` what we make of it."""

    name: str
    rule: str
    read: str
    fields: Mapping[str, str]


def _square(side: int, padding: str) -> dict[str, str]:
    """The subject on a white square of `side` pixels, as JPEG, with `padding` on each side."""
    return {
        "w": str(side), "h": str(side), "fit": "pad", "padding": padding, "bg_color": "#ffffff", "format": "jpeg",
        "quality": "92",
    }  # fmt: skip


PRESETS: Mapping[str, Preset] = {
    "amazon": Preset(
        "Amazon",
        _(
            "Main image: pure white (255, 255, 255); the product fills at least 85 per cent of the frame; the longest side "
            "has at least 1000 px for the zoom, 1600 or more are advised, 10000 at most; JPEG is preferred."
        ),
        "2026-11",
        _square(2000, "7%"),
    ),
    "ebay": Preset(
        "eBay",
        _("At least 500 px on the longest side, 1600 advised; no border, text or watermark; a plain background."),
        "2026-11",
        _square(1600, "6%"),
    ),
    "etsy": Preset(
        "Etsy",
        _("At least 2000 px on the shortest side advised, with room around the product, as thumbnails are cropped."),
        "2026-11",
        {**_square(2000, "12%"), "dpi": "72"},
    ),
    "google": Preset(
        "Google Merchant Center",
        _(
            "White or transparent; the product takes 75 to 90 per cent of the image; 1500 px or more advised, 64 megapixels "
            "at most."
        ),
        "2026-11",
        _square(1500, "8%"),
    ),
    "shopify": Preset(
        "Shopify",
        _("Square images of 2048 x 2048 px advised; one ratio and one background throughout a shop."),
        "2026-11",
        _square(2048, "8%"),
    ),
    "walmart": Preset(
        "Walmart Marketplace",
        _("Pure white (255, 255, 255); a square of 2200 x 2200 px advised, for the zoom; the product fills the frame."),
        "2026-11",
        _square(2200, "7%"),
    ),
}

_BEHIND = ("bg_image", "bg_image_url", "bg_blur")


def with_preset(fields: Mapping[str, str], files: Collection[str]) -> tuple[Mapping[str, str], list[Problem]]:
    """`fields` and those of the preset that they name; a field that was sent wins.

    So does another background, and a mask, which has none. Sides of 0 and empty texts count as not sent: clients send them
    always.
    """
    text = fields.get("preset", "").strip()
    if not text:
        return fields, []
    preset = PRESETS.get(text.lower())
    if preset is None:
        names = ", ".join(PRESETS)
        message = f"'preset' must be one of {names}, got: '{shortened(text)}'"
        return fields, [Problem("preset", "invalid_choice", message)]
    sent = {name: value for name, value in fields.items() if value.strip() and not _is_unset_side(name, value)}
    given = dict(preset.fields)
    if any(name in sent or name in files for name in _BEHIND) or is_true(sent.get("mask", "")):
        given.pop("bg_color", None)
    return {**given, **sent}, []


def _is_unset_side(name: str, value: str) -> bool:
    return name in ("w", "h") and not value.strip().lstrip("+-").strip("0")
