"""The size classes of remove.bg: how large the result is, and whether it costs a preview. Arithmetic alone."""

import math
from collections.abc import Mapping

from imaging.core.geometry import Size

AUTO = "auto"
PREVIEW_MEGAPIXELS = 0.25
# The largest result of each class, in megapixels; of a PNG PNG_MEGAPIXELS at most.
MEGAPIXELS: Mapping[str, float] = {
    "preview": PREVIEW_MEGAPIXELS, "small": PREVIEW_MEGAPIXELS, "regular": PREVIEW_MEGAPIXELS, "medium": 1.5, "hd": 4.0,
    "full": 25.0, "4k": 25.0, AUTO: 25.0, "50mp": 50.0,
}  # fmt: skip
PNG_MEGAPIXELS = 10.0


def is_preview(size_class: str, upright: Size) -> bool:
    """Whether a result costs a preview: one of the smallest class, or `auto` of an image that is no larger."""
    if size_class == AUTO:
        return upright[0] * upright[1] <= PREVIEW_MEGAPIXELS * 1e6
    return MEGAPIXELS[size_class] == PREVIEW_MEGAPIXELS


def result_size(upright: Size, size_class: str, *, is_png: bool) -> Size:
    """The size in pixels of the result of an image of `upright` pixels, before any crop. Never larger than the image.

    As recorded from remove.bg, each side is rounded separately, so the product may pass the limit by a few pixels.
    """
    limit = min(MEGAPIXELS[size_class], PNG_MEGAPIXELS if is_png else math.inf) * 1e6
    width, height = upright
    if width * height <= limit:
        return upright
    return max(1, round(math.sqrt(limit * width / height))), max(1, round(math.sqrt(limit * height / width)))


def largest_size(upright: Size, *, is_png: bool) -> Size:
    """The largest size in which the image can be had in this format."""
    return result_size(upright, "50mp", is_png=is_png)


def counted_megapixels(upright: Size) -> int:
    """What an image counts against the limit of megapixels a minute: its own, rounded up, at least 1."""
    return max(1, math.ceil(upright[0] * upright[1] / 1e6))
