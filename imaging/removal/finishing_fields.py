"""The fields of a finished image, as the OpenAPI document of `/rmbg` and of batches shows them."""

from typing import Any

from imaging.core.options import MAX_DPI, MIN_SCALE
from imaging.core.presets import PRESETS
from lib.outbound.urls import MAX_URL


def boolean(default: bool, description: str) -> dict[str, Any]:
    """A boolean field."""
    return {
        "type": "boolean",
        "default": default,
        "description": f"{description} `true/false/1/0/yes/no/on/off` in any letter case.",
    }


def _text(description: str, **more: Any) -> dict[str, Any]:
    return {"type": "string", "description": description, "example": "", **more}


def _number(low: int, high: int, description: str, kind: str = "number") -> dict[str, Any]:
    # Without an example the reference would send the minimum where nothing was entered.
    return {"type": kind, "minimum": low, "maximum": high, "description": description, "example": ""}


_SIDES = "1, 2 or 4 values in the order of CSS (all; top and bottom, left and right; top, right, bottom, left), in px or %"
BACKGROUND_IMAGE = {
    "type": "string",
    "format": "binary",
    "description": "An image to lay behind the subject, within the limits of `image`: centred, and scaled to cover the "
    "canvas. Only one of `bg_color`, `bg_image`, `bg_image_url` and `bg_blur` is possible.",
}
FINISHING: dict[str, dict[str, Any]] = {
    "detail": _text(
        "`auto` (the default) looks a second time where the subject is small, or the image very wide or tall; `fast` looks "
        "once.",
        enum=["auto", "fast", ""],
    ),
    "decontaminate": boolean(
        True, "Give the pixels of the edge the subject's own colour, without that of the old background."
    ),
    "crop": boolean(False, "Cut to the box of the subject. The default is `true` with `fit=pad`."),
    "crop_margin": _text(
        f"With `crop`: room around the subject. {_SIDES} of the subject, at most 500 px or 50 %; px are of the "
        "delivered image."
    ),
    "roi": _text("Region of interest: left, top, right, bottom, in px or % of the image. All outside of it is background."),
    "scale": _text(
        f"Size of the subject, {MIN_SCALE} to 100 % of the canvas, or `original`. Centres it, unless `position` is sent."
    ),
    "position": _text("`center`, `original`, or one or two percentages, across and down: 0 is flush left or at the top."),
    "fit": _text(
        "With `w` and `h`: `inside` (the default), `exact` (as `exact_resize=true`), or `pad`: the subject, or with "
        "`crop=false` the whole image, is fitted into a canvas of that size less `padding`.",
        enum=["inside", "exact", "pad", ""],
    ),
    "padding": _text(f"With `fit=pad`: room at the sides of the canvas. {_SIDES} of the canvas, at most 45 % a side."),
    "snap": boolean(False, "A subject that the image's edge cuts off stays at that edge. The default is that of `crop`."),
    "bg_image_url": _text(
        "Instead of `bg_image`: its public http or https address, fetched as that of `image_url` is.", maxLength=MAX_URL
    ),
    "bg_blur": _number(0, 100, "The image's own background, blurred, behind the subject. Empty or 0: unset."),
    "shadow": _text(
        "`none`, `drop` (of a sheet before a wall) or `contact` (where the subject stands on the ground). It is cut off "
        "where the canvas ends: `crop_margin` and `padding` make room.",
        enum=["none", "drop", "contact", ""],
    ),
    "shadow_opacity": _number(0, 100, "In per cent; 45 for `drop` and 70 for `contact`."),
    "shadow_color": _text("As `bg_color`; black by default."),
    "shadow_blur": _text(
        "In px, or % of the subject's longer side: 0 to 500 px or 50 %. 2.5% for `drop`, 5% for `contact`."
    ),
    "shadow_offset": _text("To the right and down, in px or % of the subject's longer side; 1% 2.5% for `drop`."),
    "preset": _text(
        "The fields that a marketplace's images need, by its name. A field that is sent next to it wins.",
        enum=[*PRESETS, ""],
    ),
    "quality": _number(1, 100, "Of jpeg and webp; 90 and 85 by default.", "integer"),
    "dpi": _number(1, MAX_DPI, "Written into png and jpeg.", "integer"),
}
