"""How each composing step changes an image's width and height. Pure arithmetic, no pixels."""

import math
from typing import TypeAlias

from imaging.core.codecs.headers import ImageHeader
from imaging.core.options import MAX_SIDE, CutoutOptions
from imaging.core.problems import Problem

Size: TypeAlias = tuple[int, int]


def quarter_turns(angle: float) -> int | None:
    """The number of counter-clockwise quarter turns (0-3) in `angle` degrees; None if it is not a multiple of 90."""
    turns = angle / 90
    return int(turns) % 4 if turns.is_integer() else None


def rotated_size(size: Size, angle: float, expand: bool) -> Size:
    """The canvas after a rotation by `angle` degrees: the bounding box if `expand`, else unchanged.

    Multiples of 90 degrees are exact; else w' = w |cos| + h |sin|, h' = w |sin| + h |cos|, rounded up.
    """
    turns = quarter_turns(angle)
    if not expand or turns in (0, 2):
        return size
    width, height = size
    if turns is not None:
        return height, width
    cos, sin = abs(math.cos(math.radians(angle))), abs(math.sin(math.radians(angle)))
    return _rounded_up(width * cos + height * sin), _rounded_up(width * sin + height * cos)


def _rounded_up(length: float) -> int:
    # A millionth of a pixel is floating-point error, not image.
    return max(1, math.ceil(length - 1e-6))


def fitted_size(size: Size, width: int | None, height: int | None, exact: bool) -> Size:
    """`size` scaled to the requested sides.

    Neither given: unchanged. One given: the other follows the aspect ratio. Both given: the largest size within them
    that keeps the aspect ratio, or exactly them if `exact`. Rounded to the nearest pixel, at least 1.
    """
    if width is None and height is None:
        return size
    if width is not None and height is not None:
        if exact:
            return width, height
        bound_by_width = width * size[1] <= height * size[0]
        width, height = (width, None) if bound_by_width else (None, height)
    if width is not None:
        return width, _scaled(size[1], width, size[0])
    assert height is not None  # noqa: S101 - for the type checker: one of them is given
    return _scaled(size[0], height, size[1]), height


def _scaled(length: int, numerator: int, denominator: int) -> int:
    """length * numerator / denominator, rounded half up in integers, at least 1."""
    return max(1, (2 * length * numerator + denominator) // (2 * denominator))


def delivered_size(upright_size: Size, options: CutoutOptions) -> Size:
    """The size of the delivered image for an input of `upright_size`: rotated, then resized."""
    rotated = rotated_size(upright_size, options.angle, options.expand)
    return fitted_size(rotated, options.width, options.height, options.exact_resize)


def check_delivered_size(upright_size: Size, options: CutoutOptions) -> list[Problem]:
    """With only one of `w` and `h` given, the other side of a long thin image can become too long: refuse that.

    A rotation alone may pass MAX_SIDE: at most 10000 * sqrt(2) = 14143 px, below WebP's own limit of 16383.
    """
    width, height = delivered_size(upright_size, options)
    if options.width is not None and options.height is None and height > MAX_SIDE:
        return [_too_long("w", options.width, "height", height)]
    if options.height is not None and options.width is None and width > MAX_SIDE:
        return [_too_long("h", options.height, "width", width)]
    return []


def _too_long(field: str, value: int, side: str, length: int) -> Problem:
    message = (
        f"'{field}' of {value} would make the delivered image's {side} {length}px,"
        f" which exceeds the maximum allowed {side} of {MAX_SIDE}px."
    )
    return Problem(field, "out_of_range", message)


# libwebp's animation decoder holds two canvases, and Pillow a copy of the result next to its own image. Measured at 100
# megapixels, beyond the interpreter and the model: 16.7 bytes a pixel; of other formats 12, at encoding.
WEBP_INPUT_WEIGHT = 1.4


def peak_megapixels(header: ImageHeader, options: CutoutOptions) -> float:
    """The weight of one cutout for memory admission: its largest canvas, in megapixels."""
    upright = header.upright_size
    source = _megapixels(upright) * (WEBP_INPUT_WEIGHT if header.format == "WEBP" else 1.0)
    rotated = _megapixels(rotated_size(upright, options.angle, options.expand))
    return max(source, rotated, _megapixels(delivered_size(upright, options)))


def _megapixels(size: Size) -> float:
    return size[0] * size[1] / 1e6
