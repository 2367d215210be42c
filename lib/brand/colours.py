"""Accents for light and dark pages, made from one colour of the operator's.

Text in an accent, and on one, has the contrast that WCAG 2.2 asks of text at level AA. A colour that has too little of it is
darkened for light pages and lightened for dark ones, at the same hue and saturation, as far as needed.
"""

import colorsys
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

# `#` may be left out: it begins a comment in shells and in some files of settings.
HEX = re.compile(r"#?([0-9a-f]{3}|[0-9a-f]{6})", re.IGNORECASE)
# WCAG 2.2, 1.4.3. Dark pages get more than that: what barely passes looks dull on them.
AA, ON_DARK = 4.5, 6.0
# What accents are read on: the surfaces of frontend/css/tokens.css (paper, card, soft, good-soft, warn-soft, bad-soft).
LIGHT_SURFACES = ("#f7f8fa", "#ffffff", "#eef0f4", "#e3f4ea", "#fdf1dc", "#fdecea")
DARK_SURFACES = ("#111316", "#191c20", "#23272d", "#173124", "#37290d", "#3a1c1a")
# Of lightness, of which there are 100: finer than anyone sees, and at most 200 tries.
_STEP = 0.005


class BadColour(ValueError):
    """It is not a colour that accents can be made from. Its text is for the operator."""


@dataclass(frozen=True, slots=True)
class Accents:
    """The accent tokens of one colour scheme, each `#rrggbb`.

    `accent` is for links and buttons, `strong` for those under the pointer and for text on `soft`, which is a surface.
    `on_accent` is the text on the first two.
    """

    accent: str
    strong: str
    soft: str
    on_accent: str


def accents(colour: str) -> tuple[Accents, Accents]:
    """The accents for light pages and for dark ones. Raises BadColour."""
    hue, lightness, saturation = colorsys.rgb_to_hls(*_channels(colour))
    return _for_light(hue, lightness, saturation), _for_dark(hue, lightness, saturation)


def contrast(one: str, other: str) -> float:
    """The contrast of two colours, 1 to 21, as WCAG 2.2 defines it."""
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def _for_light(hue: float, lightness: float, saturation: float) -> Accents:
    soft = _hex(hue, 0.96, saturation * 0.9)
    surfaces = (*LIGHT_SURFACES, soft)
    own = _readable(hue, lightness, saturation, -_STEP, surfaces, AA)
    # One that is almost black has no room below.
    strong = own - 0.1 if own > 0.12 else own + 0.06
    return Accents(_hex(hue, own, saturation), _hex(hue, strong, saturation), soft, "#ffffff")


def _for_dark(hue: float, lightness: float, saturation: float) -> Accents:
    soft = _hex(hue, 0.165, saturation * 0.45)
    surfaces = (*DARK_SURFACES, soft)
    own = _readable(hue, lightness, saturation, _STEP, surfaces, ON_DARK)
    strong = own + 0.06 if own < 0.92 else own - 0.04
    return Accents(_hex(hue, own, saturation), _hex(hue, strong, saturation), soft, _hex(hue, 0.12, saturation * 0.45))


def _readable(hue: float, lightness: float, saturation: float, step: float, surfaces: Sequence[str], enough: float) -> float:
    """The lightness nearest to `lightness`, in the direction of `step`, with `enough` contrast to all surfaces."""
    while _least(_hex(hue, lightness, saturation), surfaces) < enough:
        lightness = min(max(lightness + step, 0.0), 1.0)
    return lightness


def _least(colour: str, surfaces: Iterable[str]) -> float:
    return min(contrast(colour, surface) for surface in surfaces)


def _channels(colour: str) -> tuple[float, float, float]:
    match = HEX.fullmatch(colour)
    if match is None:
        raise BadColour(f"{colour!r} is not a colour: write it as #RGB or #RRGGBB")
    digits = match[1] if len(match[1]) == 6 else "".join(2 * digit for digit in match[1])
    red, green, blue = (channel / 255 for channel in bytes.fromhex(digits))
    return red, green, blue


def _hex(hue: float, lightness: float, saturation: float) -> str:
    return "#" + bytes(round(channel * 255) for channel in colorsys.hls_to_rgb(hue, lightness, saturation)).hex()


def _luminance(colour: str) -> float:
    """Relative luminance, 0 to 1."""
    linear = (channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4 for channel in _channels(colour))
    return sum(share * channel for share, channel in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
