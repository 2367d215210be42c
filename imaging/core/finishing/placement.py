"""Where the subject goes on the delivered canvas, and how large. Arithmetic alone, no pixels.

Order: `crop`, or `scale` and `position`; then `w`, `h` and `fit`. All sizes are in pixels, halves rounded up.
"""

import math
from dataclasses import dataclass
from typing import TypeAlias

from imaging.core.geometry import Box, Size, find_region, fitted_size, quarter_turns
from imaging.core.options import CutoutOptions, Position
from imaging.core.values import Sides, in_pixels

# The start and the length of something along one axis.
Span: TypeAlias = tuple[int, int]

CENTRE: Position = (50.0, 50.0)


@dataclass(frozen=True, slots=True)
class Placement:
    """The part `source` of an image, resized to `size`, at `place` (left, top) on a transparent `canvas`.

    `subject` is the subject's box, in pixels of the canvas; of a crop, in those of the uncropped image at the crop's scale.
    It is (0, 0, 0, 0) without a subject.
    """

    source: Box
    size: Size
    canvas: Size
    place: tuple[int, int]
    subject: Box


def place(image: Size, subject: Box | None, options: CutoutOptions) -> Placement:
    """The placement of an upright, rotated image whose subject is in the box `subject`, if it has any.

    Without a subject the whole image takes its place. `snap` sees the image's sides only where it stands upright.
    """
    box = subject or (0, 0, *image)
    is_moved = options.scale is not None or options.position not in (None, "original")
    if options.pad and options.width and options.height:
        source = box if options.crop else (0, 0, *image)
        placed = _padded(image, source, (options.width, options.height), _touched(image, box, options), options)
    elif options.crop:
        placed = _cropped(image, box, _touched(image, box, options), options)
    elif subject and is_moved:
        placed = _moved(image, box, _touched(image, box, options), options)
    else:
        canvas = fitted_size(image, options.width, options.height, options.exact_resize)
        placed = Placement((0, 0, *image), canvas, canvas, (0, 0), box)
    return Placement(placed.source, placed.size, placed.canvas, placed.place, _subject(placed, subject, options.crop))


def _subject(placed: Placement, subject: Box | None, is_cropped: bool) -> Box:
    """The box of Placement.subject."""
    if subject is None:
        return 0, 0, 0, 0
    left, top, right, bottom = placed.source
    across, down = placed.size[0] / (right - left), placed.size[1] / (bottom - top)
    if is_cropped:
        start = _rounded(subject[0] * across), _rounded(subject[1] * down)
        return *start, start[0] + placed.size[0], start[1] + placed.size[1]
    x, y = placed.place
    ends = [_rounded((subject[2] - left) * across), _rounded((subject[3] - top) * down)]
    starts = [
        min(_rounded((subject[0] - left) * across), max(0, ends[0] - 1)),
        min(_rounded((subject[1] - top) * down), max(0, ends[1] - 1)),
    ]
    return x + starts[0], y + starts[1], x + max(ends[0], starts[0] + 1), y + max(ends[1], starts[1] + 1)


@dataclass(frozen=True, slots=True)
class _Touched:
    """The sides of the image, or of the region of interest, at which the subject is cut off."""

    top: bool = False
    right: bool = False
    bottom: bool = False
    left: bool = False


def _touched(image: Size, box: Box, options: CutoutOptions) -> _Touched:
    whole = 0, 0, *image
    turns = quarter_turns(options.angle)
    # A region of interest cuts subjects off, too. It is one of the image as it was sent.
    bounds = (find_region(image, options.roi) or whole) if turns == 0 else whole
    if not options.snap or turns is None or box == whole:
        return _Touched()
    left, top, right, bottom = (at == end for at, end in zip(box, bounds, strict=True))
    return _Touched(top, right, bottom, left)


def _without_touched(sides: Sides, touched: _Touched) -> Sides:
    """`sides`, those that the subject touches at 0."""
    flags = (touched.top, touched.right, touched.bottom, touched.left)
    top, right, bottom, left = (
        (0.0, unit) if flag else (value, unit) for flag, (value, unit) in zip(flags, sides, strict=True)
    )
    return top, right, bottom, left


def _position(image: Size, box: Box, touched: _Touched, options: CutoutOptions) -> Position:
    """Where in the free space the subject goes, in per cent across and down."""
    if options.position == "original":
        free = image[0] - (box[2] - box[0]), image[1] - (box[3] - box[1])
        across, down = (100 * start / space if space else 50.0 for start, space in zip(box[:2], free, strict=True))
    else:
        across, down = options.position or CENTRE
    if touched.left != touched.right:
        across = 0.0 if touched.left else 100.0
    if touched.top != touched.bottom:
        down = 0.0 if touched.top else 100.0
    return across, down


def _padded(image: Size, source: Box, canvas: Size, touched: _Touched, options: CutoutOptions) -> Placement:
    """`source` as large as the canvas less its padding allows, at most `scale` of the canvas."""
    if not options.crop:
        touched = _Touched()
    top, right, bottom, left = _without_touched(options.padding, touched)
    start = _rounded(in_pixels(left, canvas[0])), _rounded(in_pixels(top, canvas[1]))
    end = _rounded(in_pixels(right, canvas[0])), _rounded(in_pixels(bottom, canvas[1]))
    room = max(1, canvas[0] - start[0] - end[0]), max(1, canvas[1] - start[1] - end[1])
    limit = room
    if options.scale is not None:
        share = options.scale / 100
        limit = min(room[0], max(1, math.floor(canvas[0] * share))), min(room[1], max(1, math.floor(canvas[1] * share)))
    size = fitted_size((source[2] - source[0], source[3] - source[1]), *limit, False)
    across, down = _position(image, source, touched, options)
    x = start[0] + _rounded((room[0] - size[0]) * across / 100)
    y = start[1] + _rounded((room[1] - size[1]) * down / 100)
    return Placement(source, size, canvas, (x, y), source)


def _moved(image: Size, box: Box, touched: _Touched, options: CutoutOptions) -> Placement:
    """The subject at `scale` of the canvas, or of its own size, at `position`. The canvas stays the image's."""
    canvas = fitted_size(image, options.width, options.height, options.exact_resize)
    factor = _scale_factor(image, box, options)
    width = min(canvas[0], max(1, _rounded((box[2] - box[0]) * factor * canvas[0] / image[0])))
    height = min(canvas[1], max(1, _rounded((box[3] - box[1]) * factor * canvas[1] / image[1])))
    free = canvas[0] - width, canvas[1] - height
    across, down = _position(image, box, touched, options)
    x, y = _rounded(free[0] * across / 100), _rounded(free[1] * down / 100)
    return Placement(box, (width, height), canvas, (x, y), box)


def _scale_factor(image: Size, box: Box, options: CutoutOptions) -> float:
    """How much larger `scale` makes the subject: as large as fits into that share of both sides."""
    if options.scale is None:
        return 1.0
    return options.scale / 100 * min(image[0] / (box[2] - box[0]), image[1] / (box[3] - box[1]))


def _cropped(image: Size, box: Box, touched: _Touched, options: CutoutOptions) -> Placement:
    """The subject and its margins, scaled to `w` and `h`; without those to `scale`, or not at all."""
    top, right, bottom, left = _without_touched(options.crop_margin, touched)
    sides = (left, right), (top, bottom)
    lengths = box[2] - box[0], box[3] - box[1]
    wanted = options.width, options.height
    factors = [
        None if whole is None else _factor(whole, length, margins)
        for whole, length, margins in zip(wanted, lengths, sides, strict=True)
    ]
    given = [factor for factor in factors if factor is not None]
    is_exact = options.exact_resize and len(given) == 2
    common = [min(given)] * 2 if given else _crop_scales(image, box, options)
    spans: list[tuple[int, Span]] = []
    for whole, factor, length, margins, usual in zip(wanted, factors, lengths, sides, common, strict=True):
        scale = factor if is_exact and factor is not None else usual
        spans.append(_along(length, scale, margins, whole, is_bound=factor == scale))
    (width, across), (height, down) = spans
    return Placement(box, (across[1], down[1]), (width, height), (across[0], down[0]), box)


def _crop_scales(image: Size, box: Box, options: CutoutOptions) -> list[float]:
    """The scales, across and down, of a crop without `w` and `h`."""
    factor = _scale_factor(image, box, options)
    return [factor * whole / side for whole, side in zip(options.whole_size or image, image, strict=True)]


Margins: TypeAlias = tuple[tuple[float, str], tuple[float, str]]


def _factor(whole: int, length: int, margins: Margins) -> float:
    """The scale at which `length` and its margins fill `whole`: those in px are of the result, those in % grow with it."""
    pixels = sum(value for value, unit in margins if unit == "px")
    share = sum(value for value, unit in margins if unit == "%") / 100
    return max(0.0, whole - pixels) / (length * (1 + share))


def _along(length: int, scale: float, margins: Margins, whole: int | None, *, is_bound: bool) -> tuple[int, Span]:
    """The canvas along one axis, and the subject's span on it. `is_bound`: the canvas is exactly `whole`."""
    size = max(1, _rounded(length * scale))
    before, after = (_rounded(value if unit == "px" else length * scale * value / 100) for value, unit in margins)
    if whole is not None and (is_bound or before + size + after > whole):
        before, after = min(before, whole - 1), min(after, whole - 1 - min(before, whole - 1))
        size = whole - before - after
    return before + size + after, (before, size)


def _rounded(value: float) -> int:
    """The nearest whole number, halves up. A millionth is floating-point error."""
    return math.floor(value + 0.5 + 1e-6)
