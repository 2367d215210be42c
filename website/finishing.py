"""The worked examples of `/docs/finishing`: fields, and the image that they make of a photograph.

`tests/website/test_docs_finishing.py` makes the images again and compares them with those under `website/static/finishing`;
UPDATE_GOLDEN=1 writes them. The photographs are the astronaut (NASA, public domain) and the coffee (CC0) of scikit-image.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

# The longer side of each photograph and of most results, in pixels.
SIDE = 320


@dataclass(frozen=True, slots=True)
class Example:
    """`name` is that of the image file, `photo` of the photograph (scikit-image's name), `fields` what was sent."""

    name: str
    photo: str
    title: str | Promise
    fields: Mapping[str, str]

    @property
    def path(self) -> str:
        """The image, as a static file."""
        return f"finishing/{self.name}.webp"


EXAMPLES = (
    Example("crop", "coffee", _("Cut to the subject, with a margin"), {"crop": "true", "crop_margin": "5%"}),
    Example(
        "square",
        "coffee",
        _("Centred on a white square"),
        {"fit": "pad", "w": "320", "h": "320", "padding": "10%", "bg_color": "white"},
    ),
    Example(
        "preset", "coffee", _("As a marketplace wants it"), {"preset": "etsy", "w": "320", "h": "320", "format": "webp"}
    ),
    Example(
        "drop",
        "coffee",
        _("With the shadow of a sheet"),
        {"fit": "pad", "w": "320", "h": "320", "padding": "12%", "bg_color": "#f4f1ea", "shadow": "drop"},
    ),
    Example(
        "contact",
        "coffee",
        _("Standing on the ground"),
        {"fit": "pad", "w": "320", "h": "320", "padding": "12%", "bg_color": "#f4f1ea", "shadow": "contact"},
    ),
    Example(
        "snap",
        "astronaut",
        _("A cut-off subject stays at its side"),
        {"fit": "pad", "w": "320", "h": "240", "padding": "10%", "bg_color": "#cfe3f1"},
    ),
    Example("blur", "astronaut", _("Before its own background, blurred"), {"bg_blur": "40"}),
    Example("colour", "astronaut", _("On another colour, with clean edges"), {"bg_color": "#ffd23f"}),
    Example(
        "scale",
        "astronaut",
        _("Half the size, in a corner"),
        {"scale": "50%", "position": "100% 100%", "bg_color": "#dddddd"},
    ),
    Example("roi", "astronaut", _("Only what is inside a region"), {"roi": "20% 0 70% 60%", "bg_color": "white"}),
    Example(
        "portrait",
        "astronaut",
        _("A portrait in a fixed ratio"),
        {"roi": "20% 0 70% 60%", "fit": "pad", "w": "240", "h": "320", "padding": "6%", "bg_color": "#eef2f5"},
    ),
    Example(
        "banner",
        "coffee",
        _("At the side of a banner"),
        {
            "fit": "pad",
            "w": "320",
            "h": "160",
            "padding": "8%",
            "position": "100% 50%",
            "bg_color": "#23395b",
            "shadow": "drop",
        },
    ),
)
