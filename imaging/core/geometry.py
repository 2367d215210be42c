"""How each composing step changes an image's width and height. Pure arithmetic, no pixels."""

import math
from collections.abc import Sequence
from typing import TypeAlias

from imaging.core.codecs.headers import ImageHeader
from imaging.core.memory import LARGE_PIXELS
from imaging.core.options import CutoutOptions
from imaging.core.problems import Problem
from imaging.core.values import MAX_SIDE, Sides, in_pixels

Size: TypeAlias = tuple[int, int]
# Left, top, right, bottom.
Box: TypeAlias = tuple[int, int, int, int]


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
    """The size of the delivered image for an input of `upright_size`: rotated, then resized. Not of one that is cropped."""
    if options.pad and options.width and options.height:
        return options.width, options.height
    rotated = rotated_size(upright_size, options.angle, options.expand)
    return fitted_size(rotated, options.width, options.height, options.exact_resize)


def largest_canvas(image: Size, options: CutoutOptions) -> Size:
    """At least the size of every delivered image for a rotated input of this size, wherever its subject is."""
    if options.pad and options.width and options.height:
        return options.width, options.height
    if not options.crop:
        return fitted_size(image, options.width, options.height, options.exact_resize)
    if options.width or options.height:
        return options.width or MAX_SIDE, options.height or MAX_SIDE
    if any(length for length, _ in options.crop_margin):
        width, height = (max(side, min(2 * side + 1000, MAX_SIDE)) for side in image)
        return width, height
    return image


def find_region(size: Size, roi: Sides | None) -> Box | None:
    """The pixels of `roi` in an upright image of `size`, None for the whole. It may be empty, or reach beyond the image."""
    if roi is None:
        return None
    left, top, right, bottom = (
        math.floor(in_pixels(length, whole) + 0.5) for length, whole in zip(roi, (*size, *size), strict=True)
    )
    return None if (left, top, right, bottom) == (0, 0, *size) else (left, top, right, bottom)


def check_sizes(upright_size: Size, options: CutoutOptions) -> list[Problem]:
    """The problems of `options` that depend on the input's size: a region beyond it, or a result that is too large."""
    return [*_region_problems(upright_size, options), *_delivered_problems(upright_size, options)]


def _region_problems(size: Size, options: CutoutOptions) -> list[Problem]:
    left, top, right, bottom = find_region(size, options.roi) or (0, 0, *size)
    if right > size[0] or bottom > size[1]:
        message = f"'roi' must lie inside the image, which has {size[0]} x {size[1]} px."
        return [Problem("roi", "roi_out_of_bounds", message)]
    if left >= right or top >= bottom:
        return [
            Problem("roi", "roi_empty", f"'roi' must have a width and a height in an image of {size[0]} x {size[1]} px.")
        ]
    return []


def _delivered_problems(upright_size: Size, options: CutoutOptions) -> list[Problem]:
    """With only one of `w` and `h` given, the other side of a long thin image can become too long: refuse that.

    A rotation alone may pass MAX_SIDE: at most 10000 * sqrt(2) = 14143 px, below WebP's own limit of 16383.
    """
    if options.crop or options.pad:
        # Only the subject's size decides: see imaging.core.finishing.finish.
        return []
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
# The photograph is kept next to the cutout: four more bytes a pixel.
ZIP_WEIGHT = 1.4


def peak_megapixels(header: ImageHeader, options: CutoutOptions) -> float:
    """The weight of one cutout for memory admission: its largest canvas, in megapixels."""
    upright = header.upright_size
    source = _megapixels(upright) * (WEBP_INPUT_WEIGHT if header.format == "WEBP" else 1.0)
    source *= ZIP_WEIGHT if options.format == "zip" else 1.0
    rotated = _megapixels(rotated_size(upright, options.angle, options.expand))
    canvas = largest_canvas(rotated_size(upright, options.angle, options.expand), options)
    return max(source, rotated, _megapixels(canvas))


# The image and its matte wait for the next output, 5 bytes a pixel; so do the files of those before, of at most 4 bytes a
# pixel, unless they are on disk (see imaging.core.codecs.encode).
_KEPT_WEIGHT, _FILE_WEIGHT = 0.5, 0.35


def peak_of_outputs(header: ImageHeader, outputs: Sequence[CutoutOptions]) -> float:
    """The weight of a cutout with several outputs, in the same megapixels."""
    *others, largest = sorted(peak_megapixels(header, options) for options in outputs)
    if not others:
        return largest
    files = sum(peak for peak in others if peak * 1e6 < LARGE_PIXELS)
    return largest + _KEPT_WEIGHT * _megapixels(header.upright_size) + _FILE_WEIGHT * files


def _megapixels(size: Size) -> float:
    return size[0] * size[1] / 1e6
