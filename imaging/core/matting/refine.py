"""Redraws the edges of a small matte at the full resolution of the image.

The network's matte has 320 x 320 pixels. Enlarged to 12 megapixels, each of them is eleven pixels wide, and so is every
edge. Around an edge the colours hold more detail: near it alpha is, to a good approximation, a linear function of the colour
(Levin, Lischinski and Weiss, "A Closed-Form Solution to Natural Image Matting", 2008). As in the fast guided filter (He and
Sun, "Fast Guided Filter", arXiv:1505.00996) the linear functions are fitted on a small copy of the image and applied to the
large one. Unlike there, only cells that the network is sure of count in the fit, so its blur does not; where colours explain
the matte badly the enlarged matte stays; and pixels away from the edges are not changed.

The constants were chosen with tests/bench/bench_edges.py, on the half of its images that it does not report on.
"""

import math
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from imaging.core.canvas import in_mode, new_image, reduced, rows_of
from imaging.core.cells import Floats, interpolation, neighbours
from imaging.core.cores import for_each
from imaging.core.geometry import Size
from imaging.core.strips import CACHED_PIXELS, strips

Bytes: TypeAlias = npt.NDArray[np.uint8]
Mask: TypeAlias = npt.NDArray[np.bool_]

# An image less than this much longer than the matte gains next to nothing.
_MIN_ENLARGEMENT = 1.5
# A fit looks at the (2 * 3 + 1)² blocks around its own; a block is 2 x 2 cells, a cell about one pixel of the matte.
_RADIUS = 3
_BLOCK = 2
# Cells within this distance of an uncertain one are redrawn too.
_REACH = 1
# Matte values up to the first are certainly background, from the second on certainly subject (0-255); those between are
# stretched.
_BACKGROUND, _SUBJECT = 5, 250
_STRETCHED = [min(255, max(0, round((grey - _BACKGROUND) * 255 / (_SUBJECT - _BACKGROUND)))) for grey in range(256)]
# How fast a block's weight falls with its uncertainty, and the weight of a fully uncertain one.
_CERTAINTY_POWER, _LEAST_WEIGHT = 4, 0.02
# How much steeper the fitted matte is than the network's, which is blurred.
_STEEPNESS = 2.0
# Regularisation of the fit, in squared units of colour, 0-1; of its quality, in squared units of alpha.
_COLOUR_NOISE, _ALPHA_NOISE = 3e-5, 3e-3
# Contrast about the middle given back to a fit: ridge regression and texture flatten it, the more the worse it fits.
_GAIN, _GAIN_OF_MISFIT = 1.05, 0.6
# A fit counts fully where alpha (1 - alpha) of the smoothed matte is at least 1 / this, and less elsewhere: a highlight
# inside the subject is not a hole.
_TRUST = 5.0
# A fit counts fully from the first mean weight on, and not at all below the second: in haze, and where an edge is soft, the
# network's matte is fine enough, and a fit would only sharpen it.
_CLEAR, _HAZY = 0.75, 0.5
# About 10 MB where all of them are edge.
_STRIP_PIXELS = CACHED_PIXELS


def enlarge(matte: Image.Image, image: Image.Image, *, refine: bool) -> Image.Image:
    """`matte` (L, 255 = subject, of any size) at the size of `image` (RGB or RGBA).

    With `refine` its edges follow those of the image, and values within 2 % of certain become certain. Takes ownership of
    the matte; `image` is unchanged. A matte that already has the image's size is returned unchanged.
    """
    if matte.size == image.size:
        return matte
    if refine and max(image.size) >= _MIN_ENLARGEMENT * max(matte.size):
        return _refined(matte, image)
    return matte.resize(image.size, Image.Resampling.LANCZOS)


def _refined(matte: Image.Image, image: Image.Image) -> Image.Image:
    cell = math.ceil(max(image.size) / max(matte.size))
    # Without its alpha, by which Pillow would weight its colours.
    image = in_mode(image, "RGB")
    prior = _prior(matte.point(_STRETCHED), cell, image.size)
    certain, band = _certain(np.asarray(prior))
    lines = _lines(reduced(image, (_BLOCK * cell, _BLOCK * cell)), prior, band)
    result = new_image("L", image.size)

    def draw(strip: tuple[int, int]) -> None:
        top, bottom = strip
        cells = slice(top // cell, -(-bottom // cell))
        alpha = _enlarged(certain[cells], cell)
        if band[cells].any():
            _draw(alpha, rows_of(image, top, bottom), band[cells], lines[:, cells.start : cells.stop + 2])
        rows_of(result, top, bottom)[:] = alpha[: bottom - top, : image.width]

    for_each(draw, strips(image.size, multiple=cell, pixels=_STRIP_PIXELS))
    return result


def _enlarged(cells: Bytes, size: int) -> Bytes:
    """`cells`, each made `size` x `size` pixels."""
    pixels = np.empty((len(cells), size, cells.shape[1] * size), np.uint8)
    pixels[:] = cells.repeat(size, axis=1)[:, np.newaxis]
    return pixels.reshape(len(cells) * size, -1)


def _prior(matte: Image.Image, cell: int, size: Size) -> Image.Image:
    """`matte` on the grid of cells, whose last row and column may extend beyond an image of `size`."""
    columns, rows = -(-size[0] // cell), -(-size[1] // cell)
    scale = matte.width / size[0] * cell, matte.height / size[1] * cell
    padding = [(0, math.ceil(rows * scale[1]) - matte.height), (0, math.ceil(columns * scale[0]) - matte.width)]
    padded = Image.fromarray(np.pad(np.asarray(matte), padding, mode="edge"))
    return padded.resize((columns, rows), Image.Resampling.BICUBIC, (0, 0, columns * scale[0], rows * scale[1]))


def _certain(prior: Bytes) -> tuple[Bytes, Mask]:
    """0 or 255 for each cell that is certain along with its whole neighbourhood, and a mask of the others."""
    subject, background = prior == 255, prior == 0
    band = _dilated(~subject, _REACH) & _dilated(~background, _REACH)
    return np.where(subject, 255, 0).astype(np.uint8), band


def _dilated(mask: Mask, radius: int) -> Mask:
    """`mask` and all cells that are within `radius` cells of it, along and across."""
    for axis in (0, 1):
        grown = mask.copy()
        for shift in range(1, radius + 1):
            low, high = _ends(axis, shift)
            grown[low] |= mask[high]
            grown[high] |= mask[low]
        mask = grown
    return mask


def _ends(axis: int, shift: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """All but the last and all but the first `shift` along `axis`."""
    before = (slice(None),) * axis
    return (*before, slice(None, -shift)), (*before, slice(shift, None))


def _lines(guide: Image.Image, prior: Image.Image, band: Mask) -> Floats:
    """For each cell the red, green, blue and constant term of alpha: (4, rows + 2, columns + 2), the rim repeated.

    Colours and alpha are 0-255. `guide` is the image's blocks, `prior` the matte's cells.
    """
    colours, blocks, alpha = (_scaled(image) for image in (guide, prior.reduce(_BLOCK), prior))
    # Fits are smoothed with those of their neighbours.
    where = _dilated(np.asarray(Image.fromarray(band).convert("L").reduce(_BLOCK)) > 0, 1)
    fits = np.zeros((5, *blocks.shape), np.float32)
    fits[:, where] = _fit(colours, blocks, where)
    cells = fits.repeat(_BLOCK, axis=1).repeat(_BLOCK, axis=2)[:, : prior.height, : prior.width]
    smooth = _mean(alpha[np.newaxis], 1)[0]
    cells = _mean(cells, 1) * (_TRUST * smooth * (1 - smooth)).clip(0, 1)
    cells[3] = 255 * (cells[3] + (1 - cells[4]) * alpha)
    return np.pad(cells[:4], ((0, 0), (1, 1), (1, 1)), mode="edge")


def _scaled(image: Image.Image) -> Floats:
    """The samples of `image`, 0-1."""
    return np.asarray(image, np.float32) / np.float32(255)


def _mean(planes: Floats, radius: int) -> Floats:
    """The means over (2 radius + 1)² cells of each of `planes` (n, rows, columns), the rim repeated."""
    rim = slice(radius, -radius)
    padded = np.pad(planes, ((0, 0), (radius, radius), (radius, radius)), mode="edge")
    return _box_sum(padded, radius)[:, rim, rim] / np.float32((2 * radius + 1) ** 2)


def _fit(guide: Floats, prior: Floats, where: Mask) -> Floats:
    """The weighted ridge regressions of alpha on colour at the `n` blocks of `where`: (5, n).

    Three slopes, a constant and the quality of the fit, 0-1, by which the others are multiplied.
    """
    alpha = (0.5 + _STEEPNESS * (prior - 0.5)).clip(0, 1)
    weight = np.abs(2 * prior - 1) ** _CERTAINTY_POWER + np.float32(_LEAST_WEIGHT)
    red, green, blue = guide.transpose(2, 0, 1)
    variables = np.stack((red, green, blue, alpha))
    weighted = variables * weight
    pairs = [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2), (0, 3), (1, 3), (2, 3), (3, 3)]
    products = [weighted[first] * variables[second] for first, second in pairs]
    sums = _box_sum(np.stack((weight, *weighted, *products)), _RADIUS)[:, where]
    means = sums[1:5] / sums[0]
    covariances = sums[5:] / sums[0]
    for index, (first, second) in enumerate(pairs):
        covariances[index] -= means[first] * means[second]
    slopes = _solved(covariances[:6], covariances[6:9])
    explained = (slopes * covariances[6:9]).sum(axis=0)
    fit = (explained / (covariances[9] + _ALPHA_NOISE)).clip(0, 1)
    certainty = sums[0] / _box_sum(np.ones_like(weight)[np.newaxis], _RADIUS)[0, where]
    quality = fit * ((certainty - _HAZY) / (_CLEAR - _HAZY)).clip(0, 1)
    gain = _GAIN + _GAIN_OF_MISFIT * np.sqrt(1 - fit)
    constants = 0.5 + gain * (means[3] - (slopes * means[:3]).sum(axis=0) - 0.5)
    lines: Floats = quality * np.stack((*(gain * slopes), constants, np.ones_like(quality)))
    return lines


def _solved(covariance: Floats, target: Floats) -> Floats:
    """x (3, n) of (A + noise I) x = b by Cramer's rule; A is given by its upper triangle (6, n), b is `target` (3, n)."""
    a, b, c, d, e, f = covariance
    a, d, f = a + _COLOUR_NOISE, d + _COLOUR_NOISE, f + _COLOUR_NOISE
    cofactors = ((d * f - e * e, c * e - b * f, b * e - c * d), (a * f - c * c, b * c - a * e), (a * d - b * b,))
    (aa, ab, ac), (bb, bc), (cc,) = cofactors
    determinant = a * aa + b * ab + c * ac
    x, y, z = target
    solution: Floats = np.stack((aa * x + ab * y + ac * z, ab * x + bb * y + bc * z, ac * x + bc * y + cc * z)) / determinant
    return solution


def _box_sum(planes: Floats, radius: int) -> Floats:
    """The sums over (2 radius + 1)² cells of each of `planes` (n, rows, columns); outside there are zeros."""
    for axis in (1, 2):
        sums = planes.copy()
        for shift in range(1, radius + 1):
            low, high = _ends(axis, shift)
            sums[low] += planes[high]
            sums[high] += planes[low]
        planes = sums
    return planes


def _draw(alpha: Bytes, pixels: Bytes, band: Mask, lines: Floats) -> None:
    """Apply `lines` to the `pixels` (rows, columns, 4) in the cells of `band`, and put the result into `alpha`, in place."""
    cell = len(alpha) // len(band)
    rows, columns = np.nonzero(band)
    tiles = _tiles(pixels, band.shape, cell)[rows, :, columns].view(np.uint8)
    corners = neighbours(lines, rows, columns)
    # One product per cell: a single large one would wake BLAS' threads, which cost more than they save.
    terms = (corners.transpose(1, 0, 2) @ interpolation(cell)).reshape(-1, 4, cell, cell)
    drawn = terms[:, 3]
    for channel in range(3):
        drawn += terms[:, channel] * tiles[..., channel::4]
    alpha.reshape(len(band), cell, -1, cell)[rows, :, columns] = (drawn.clip(0, 255) + 0.5).astype(np.uint8)


def _tiles(pixels: Bytes, shape: tuple[int, ...], cell: int) -> npt.NDArray[np.uint32]:
    """`pixels` (rows, columns, 4) as `shape` cells: (cells down, cell, cells across, cell), black beyond the image."""
    height, width = pixels.shape[:2]
    tiles = np.zeros((shape[0] * cell, shape[1] * cell), np.uint32)
    tiles[:height, :width] = pixels.view(np.uint32)[..., 0]
    return tiles.reshape(shape[0], cell, shape[1], cell)
