"""A second look of the network where the first found a subject, and windows along very wide and very tall images.

A network sees every image at its own size, 320 x 320 pixels. A subject that fills a third of the frame has a hundred of
them, and so has the height of a banner. Each further look sees one box of the image at that size; its matte replaces the
first one there, fading out at the box's sides, so that no seam shows. What the first look found elsewhere stays, and so does
the inside of what it was sure of.

The constants were chosen with tests/bench/bench_quality.py, on its tuning set.
"""

import math
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from imaging.core.canvas import in_mode
from imaging.core.geometry import Box, Size
from imaging.core.matting.islands import SURE, SURE_BACKGROUND, clean, pieces
from imaging.core.matting.matte import REDUCING_GAP, Prediction

Floats: TypeAlias = npt.NDArray[np.float32]
Predict: TypeAlias = Callable[[Image.Image], Prediction]

# From this value (0-255) on a pixel of the first matte counts for the subject's box; pieces with less than this share of
# all subject do not.
_SUBJECT, _LEAST_PIECE = 51, 0.05
# What is added to the box on each side, as a share of its side.
_MARGIN = 0.25
# A box that covers more of the frame than this gains too little.
_MOST_COVERED = 0.6
# A look that is less sure than this has not found the subject: its matte, stretched to the full range, would be noise.
_LEAST_CONFIDENCE = 0.3
# Nor has one that finds more than this many times as much subject: it took what is between thin parts for subject.
_MOST_GROWTH = 2.0
# A first look as sure as this is right more often than a further one that takes more than this share of what it was sure of
# for background, or adds as much where it was sure of background: the network can be sure of a wall at the second look.
_SURE_LOOK, _MOST_CONTRADICTED = 0.95, 0.05
# Of several subjects each keeps at least this share: the network likes to see one.
_LEAST_KEPT = 0.5
# A pixel of the first matte is inside the subject if it and the ones about it, a square of so many pixels, are sure.
_CORE = 3
# How far from the sides of its box a look counts fully, as a share of the box.
_RAMP = 0.08
# Sides that differ by more than this make windows, each at most so long, in shares of the shorter side, that overlap.
_WIDE, _WINDOW, _MOST_WINDOWS = 2.5, 1.5, 3
_OVERLAP = 0.2
# The joined matte is at most this many times the network's size.
_FINEST = 4


def look(image: Image.Image, predict: Predict, *, again: bool) -> Prediction:
    """What a model sees in `image` (RGB or RGBA), with further looks if `again` and where they help.

    The matte has the model's size, or is finer where it looked more than once; then `model` ends in the number of looks,
    and `confidence` is the mean of the further ones. With one look it is what `predict` returns.
    """
    first = predict(image)
    # A matte of the image's own size has all the detail that there is.
    if not again or first.matte.size == image.size or first.confidence < _LEAST_CONFIDENCE:
        return first
    boxes = find_boxes(first.matte, image.size)
    looks = [predict(_part(image, box, first.matte.size)) for box in boxes]
    found = [pair for pair in zip(boxes, looks, strict=True) if _is_better(first, image.size, *pair)]
    if not looks:
        return first
    model = f"{first.model}; looks={1 + len(looks)}"
    if not found:
        return Prediction(first.matte, model, first.confidence)
    joined = clean(_joined(image.size, first.matte, [(box, one.matte) for box, one in found]))
    sure = sum(one.confidence for _, one in found) / len(found)
    return Prediction(Image.fromarray((joined * 255 + 0.5).astype(np.uint8)), model, sure)


def _part(image: Image.Image, box: Box, network: Size) -> Image.Image:
    """`box` of `image`, without its alpha, no larger than a network of that size needs: of a large image no copy is made."""
    across, down = (max(1, int((box[axis + 2] - box[axis]) / network[axis] / REDUCING_GAP)) for axis in (0, 1))
    opaque = in_mode(image, "RGB")
    return opaque.reduce((across, down), box) if max(across, down) > 1 else opaque.crop(box)


def _is_better(first: Prediction, size: Size, box: Box, again: Prediction) -> bool:
    """Whether the look `again` at `box` of an image of `size` saw the subject of the `first` look, or all of several."""
    matte = np.asarray(first.matte)
    across, down = matte.shape[1] / size[0], matte.shape[0] / size[1]
    left, right, top, bottom = (round(value) for value in (box[0] * across, box[2] * across, box[1] * down, box[3] * down))
    small = again.matte.resize((max(1, right - left), max(1, bottom - top)), Image.Resampling.BOX)
    before, after = (np.zeros(matte.shape, np.float32) for _ in range(2))
    before[top:bottom, left:right] = matte[top:bottom, left:right]
    after[top:bottom, left:right] = np.asarray(small)[: bottom - top, : right - left]
    subjects = _large_pieces(matte)
    # A window sees a part of some.
    whole = [one for one in subjects if left <= one[0] and top <= one[1] and one[2] <= right and one[3] <= bottom]
    parts = [(slice(one[1], one[3]), slice(one[0], one[2])) for one in whole] if len(subjects) > 1 else []
    # In a window the network sees subjects that the squeezed image hid from it.
    is_sure = first.confidence >= _SURE_LOOK and not _is_wide(size)
    return (
        again.confidence >= _LEAST_CONFIDENCE
        and bool(after.sum() <= _MOST_GROWTH * before.sum())
        and all(after[part].sum() >= _LEAST_KEPT * before[part].sum() for part in parts)
        and not (is_sure and _contradicts(before, after))
    )


def _contradicts(before: Floats, after: Floats) -> bool:
    """Whether `after` (0-255) has lost, or gained, much that `before` was sure of, in shares of its subject."""
    subject = before >= 255 * SURE
    lost = subject & (after < 128)
    # Outside the box both are zero.
    gained = (before <= 255 * SURE_BACKGROUND) & (after >= 128)
    return bool(max(lost.sum(), gained.sum()) > _MOST_CONTRADICTED * subject.sum())


def find_boxes(matte: Image.Image, size: Size) -> list[Box]:
    """Where to look again in an image of `size` after the first `matte` (L), none where that would not help."""
    found = _subject_box(np.asarray(matte), size)
    if found is None:
        return []
    width, height = found[2] - found[0], found[3] - found[1]
    if _is_wide((width, height)) and _is_wide(size):
        return _windows(found)
    return [found] if width * height <= _MOST_COVERED * size[0] * size[1] else []


def _is_wide(size: Size) -> bool:
    """Whether an image of `size` is very wide, or very tall."""
    return max(size) > _WIDE * min(size)


def _subject_box(matte: npt.NDArray[np.uint8], size: Size) -> Box | None:
    """The box of the subject with its margin, in pixels of an image of `size`."""
    large = _large_pieces(matte)
    if not large:
        return None
    left, top = (min(box[side] for box in large) for side in (0, 1))
    right, bottom = (max(box[side] for box in large) for side in (2, 3))
    across, down = size[0] / matte.shape[1], size[1] / matte.shape[0]
    x, y = _MARGIN * (right - left) * across, _MARGIN * (bottom - top) * down
    return (
        max(0, math.floor(left * across - x)),
        max(0, math.floor(top * down - y)),
        min(size[0], math.ceil(right * across + x)),
        min(size[1], math.ceil(bottom * down + y)),
    )


def _large_pieces(matte: npt.NDArray[np.uint8]) -> list[Box]:
    """The boxes of the pieces that are no specks."""
    places = pieces(matte >= _SUBJECT)
    least = _LEAST_PIECE * sum(piece.area for piece in places)
    return [piece.box for piece in places if piece.area >= least]


def _windows(box: Box) -> list[Box]:
    """Overlapping parts of `box` along its longer side, as few as make each nearly square."""
    width, height = box[2] - box[0], box[3] - box[1]
    long, short = max(width, height), min(width, height)
    count = min(_MOST_WINDOWS, max(2, math.ceil(long / (_WINDOW * short))))
    length = math.ceil(long / (count - (count - 1) * _OVERLAP))
    starts = [round(number * (long - length) / (count - 1)) for number in range(count)]
    if width >= height:
        return [(box[0] + start, box[1], box[0] + start + length, box[3]) for start in starts]
    return [(box[0], box[1] + start, box[2], box[1] + start + length) for start in starts]


def _joined(size: Size, first: Image.Image, looks: Sequence[tuple[Box, Image.Image]]) -> Floats:
    """The first matte and those of `looks`, 0-1, on a grid as fine as the finest look."""
    columns, rows = _grid(size, first, looks)
    total, weights, most = (np.zeros((rows, columns), np.float32) for _ in range(3))
    for box, matte in looks:
        left, right = (round(x * columns / size[0]) for x in (box[0], box[2]))
        top, bottom = (round(y * rows / size[1]) for y in (box[1], box[3]))
        place = slice(top, bottom), slice(left, right)
        ramp = _ramp(top, bottom, rows)[:, np.newaxis] * _ramp(left, right, columns)
        total[place] += ramp * _resized(matte, (right - left, bottom - top))
        weights[place] += ramp
        most[place] = np.maximum(most[place], ramp)
    base = _resized(first, (columns, rows))
    joined = base + most * (total / np.maximum(weights, np.float32(1e-6)) - base)
    np.maximum(joined, _resized(_core(first), (columns, rows)), out=joined)
    return joined.clip(0, 1).astype(np.float32, copy=False)


def _core(first: Image.Image) -> Image.Image:
    """What the first look was sure of, together with all that is about it: no further look takes the inside away."""
    return first.filter(ImageFilter.MinFilter(_CORE)).point([0 if value < 255 * SURE else value for value in range(256)])


def _grid(size: Size, first: Image.Image, looks: Sequence[tuple[Box, Image.Image]]) -> Size:
    """As many columns and rows as the finest look would have for the whole image, within _FINEST and the image's own."""
    sides = []
    for axis in (0, 1):
        finest = max(matte.size[axis] * size[axis] / (box[axis + 2] - box[axis]) for box, matte in looks)
        cells = first.size[axis]
        sides.append(max(cells, min(round(finest), _FINEST * cells, size[axis])))
    return sides[0], sides[1]


def _ramp(start: int, end: int, whole: int) -> Floats:
    """For each cell from `start` to `end` how much a look counts: 1, but fading at sides that are not the image's."""
    length = end - start
    place = (np.arange(length, dtype=np.float32) + np.float32(0.5)) / np.float32(_RAMP * length)
    before = place if start > 0 else np.ones_like(place)
    after = place[::-1] if end < whole else np.ones_like(place)
    return np.minimum(before, after).clip(0, 1)


def _resized(matte: Image.Image, size: Size) -> Floats:
    return np.asarray(matte.resize(size, Image.Resampling.BICUBIC), np.float32) / np.float32(255)
