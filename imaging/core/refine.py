"""The edge of a small matte, redrawn at the full resolution of the picture.

The network knows its matte at 320 x 320. Enlarged to 12 megapixels each of its pixels is eleven wide, and so is every
edge. Around an edge the colours say more: near it alpha is, to a good approximation, a linear function of the colour
(Levin, Lischinski and Weiss, "A Closed-Form Solution to Natural Image Matting", 2008). As in the fast guided filter (He
and Sun, "Fast Guided Filter", arXiv:1505.00996) the linear functions are fitted on a small copy of the picture and
applied to the large one. Other than there, only what the network is sure of counts in the fit, so that its blur does
not; where colours explain the matte badly the enlarged matte stays; and nothing is done away from the edges.

The constants were chosen with tests/bench/bench_edges.py, on the half of its pictures that it does not report on.
"""

import math
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from imaging.core.geometry import Size
from imaging.core.strips import strips

Floats: TypeAlias = npt.NDArray[np.float32]
Bytes: TypeAlias = npt.NDArray[np.uint8]
Mask: TypeAlias = npt.NDArray[np.bool_]

# A picture that is not this much longer than the matte has next to nothing to gain.
_MIN_ENLARGEMENT = 1.5
# Cells of the grid on which the fits are made, for each pixel of the matte.
_CELLS_PER_MATTE_PIXEL = 0.8
# A fit looks at the (2 * 3 + 1)² cells around its own.
_RADIUS = 3
# Cells within this distance of an uncertain one are redrawn too: the network's edge may be beside the true one.
_REACH = 3
# Mattes up to here are certainly background, and from here on certainly subject (0-255).
_BACKGROUND, _SUBJECT = 5, 250
# How fast a cell's weight falls with its uncertainty, and the weight of a wholly uncertain one.
_CERTAINTY_POWER, _LEAST_WEIGHT = 4, 0.02
# How much the matte that is fitted is steeper than the network's, which is blurred.
_STEEPNESS = 2.0
# Regularisation of the fit, in squared units of colour, 0-1; of its quality, in squared units of alpha.
_COLOUR_NOISE, _ALPHA_NOISE = 3e-5, 3e-3
# Contrast about the middle given back to a fit: ridge regression and texture flatten it, the more the worse it fits.
_GAIN, _GAIN_OF_MISFIT = 1.05, 0.6
# 1 million pixels at a time, about 40 MB where all of them are edge.
_STRIP_PIXELS = 1024 * 1024


def enlarge(matte: Image.Image, image: Image.Image, *, refine: bool) -> Image.Image:
    """`matte` (L, 255 = subject, of any size) at the size of `image` (RGB or RGBA).

    With `refine` its edges follow those of the picture, and what is within 2 % of certain becomes certain. Takes the
    matte over; `image` is unchanged. A matte that has the picture's size already is returned as it is.
    """
    if matte.size == image.size:
        return matte
    if refine and max(image.size) >= _MIN_ENLARGEMENT * max(matte.size):
        return _refined(matte, image)
    return matte.resize(image.size, Image.Resampling.LANCZOS)


def _refined(matte: Image.Image, image: Image.Image) -> Image.Image:
    cell = math.ceil(max(image.size) / (_CELLS_PER_MATTE_PIXEL * max(matte.size)))
    guide = np.asarray(image.reduce(cell), np.float32)[..., :3] / 255
    prior = _prior(matte, guide.shape, cell, image.size)
    certain, band = _certain(prior)
    lines = _lines(guide, np.asarray(prior, np.float32) / 255, _dilated(band, 2))
    result = Image.new("L", image.size)
    for top, bottom in strips(image.size, multiple=cell, pixels=_STRIP_PIXELS):
        cells = slice(top // cell, -(-bottom // cell))
        strip = np.repeat(np.repeat(certain[cells], cell, axis=0), cell, axis=1)
        if band[cells].any():
            _draw(strip, image, top, cell, band[cells], lines[:, cells.start : cells.stop + 2])
        result.paste(Image.fromarray(strip), (0, top))
    return result


def _prior(matte: Image.Image, shape: tuple[int, ...], cell: int, size: Size) -> Image.Image:
    """`matte` on the grid of cells, of which the last row and column reach beyond a picture of `size`."""
    padding = 2 + math.ceil(max(matte.size) * cell / max(size))
    padded = Image.fromarray(np.pad(np.asarray(matte), ((0, padding), (0, padding)), mode="edge"))
    box = (0.0, 0.0, matte.width * shape[1] * cell / size[0], matte.height * shape[0] * cell / size[1])
    box = (0.0, 0.0, min(box[2], padded.width), min(box[3], padded.height))
    return padded.resize((shape[1], shape[0]), Image.Resampling.BICUBIC, box)


def _certain(prior: Image.Image) -> tuple[Bytes, Mask]:
    """0 or 255 for each cell that is certain with all its neighbourhood, and which are not."""
    window = 2 * _REACH + 1
    subject = np.asarray(prior.filter(ImageFilter.MinFilter(window))) >= _SUBJECT
    background = np.asarray(prior.filter(ImageFilter.MaxFilter(window))) <= _BACKGROUND
    return np.where(subject, 255, 0).astype(np.uint8), ~(subject | background)


def _dilated(mask: Mask, radius: int) -> Mask:
    image = Image.fromarray(mask.astype(np.uint8)).filter(ImageFilter.MaxFilter(2 * radius + 1))
    return np.asarray(image) > 0


def _lines(guide: Floats, prior: Floats, where: Mask) -> Floats:
    """For each cell the red, green, blue and constant term of alpha: (4, rows + 2, columns + 2), the rim repeated.

    Colours and alpha are 0-255. Away from `where` the constant is the prior, and the rest nothing.
    """
    lines = np.zeros((4, *prior.shape), np.float32)
    lines[3] = prior
    lines[:, where] = _blended(*_fit(guide, prior, where), prior[where])
    lines = _box_sum(np.pad(lines, ((0, 0), (1, 1), (1, 1)), mode="edge"), 1)[:, 1:-1, 1:-1] / 9
    lines[3] *= 255
    return np.pad(lines, ((0, 0), (1, 1), (1, 1)), mode="edge")


def _fit(guide: Floats, prior: Floats, where: Mask) -> tuple[Floats, Floats, Floats]:
    """Slopes (3, n), constants and qualities, 0-1, of the weighted ridge regressions of alpha on colour at `where`."""
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
    quality = (explained / (covariances[9] + _ALPHA_NOISE)).clip(0, 1)
    return slopes, means[3] - (slopes * means[:3]).sum(axis=0), quality


def _solved(covariance: Floats, target: Floats) -> Floats:
    """x (3, n) of (A + noise I) x = b by Cramer's rule; A is given by its upper triangle (6, n), b is `target` (3, n)."""
    a, b, c, d, e, f = covariance
    a, d, f = a + _COLOUR_NOISE, d + _COLOUR_NOISE, f + _COLOUR_NOISE
    cofactors = ((d * f - e * e, c * e - b * f, b * e - c * d), (a * f - c * c, b * c - a * e), (a * d - b * b,))
    (aa, ab, ac), (bb, bc), (cc,) = cofactors
    determinant = a * aa + b * ab + c * ac
    x, y, z = target
    return np.stack((aa * x + ab * y + ac * z, ab * x + bb * y + bc * z, ac * x + bc * y + cc * z)) / determinant


def _blended(slopes: Floats, constants: Floats, quality: Floats, prior: Floats) -> Floats:
    """The fits (4, n), their contrast given back, mixed with the prior by their quality."""
    gain = _GAIN + _GAIN_OF_MISFIT * np.sqrt(1 - quality)
    constants = 0.5 + gain * (constants - 0.5)
    return np.concatenate((quality * gain * slopes, [quality * constants + (1 - quality) * prior]))


def _box_sum(planes: Floats, radius: int) -> Floats:
    """The sums over (2 radius + 1)² cells of each of `planes` (n, rows, columns); outside there are zeros."""
    for axis in (1, 2):
        padding = [(0, 0), (0, 0), (0, 0)]
        padding[axis] = (radius, radius)
        padded, length = np.pad(planes, padding), planes.shape[axis]
        planes = np.zeros_like(planes)
        for shift in range(2 * radius + 1):
            planes += padded[(slice(None),) * axis + (slice(shift, shift + length),)]
    return planes


def _draw(strip: Bytes, image: Image.Image, top: int, cell: int, band: Mask, lines: Floats) -> None:
    """Apply `lines` to the pixels of `image` in the cells of `band`, and put their alpha into `strip`, in place."""
    rows, columns = np.nonzero(band)
    left, right = columns.min(), columns.max() + 1
    pixels = np.asarray(image.crop((left * cell, top, right * cell, top + len(strip))))
    tiles = pixels.reshape(len(band), cell, right - left, cell, -1)[rows, :, columns - left, :, :3]
    corners = np.stack([lines[:, rows + down, columns + across] for down in range(3) for across in range(3)], axis=-1)
    # One matrix product interpolates all: (4 n, 9) times (9, pixels of a cell).
    terms = (corners.reshape(-1, 9) @ _interpolation(cell)).reshape(4, len(rows), cell, cell)
    alpha = terms[3]
    for channel in range(3):
        alpha += terms[channel] * tiles[..., channel]
    drawn = (alpha.clip(0, 255) + 0.5).astype(np.uint8)
    strip.reshape(len(band), cell, -1, cell)[rows, :, columns] = drawn


def _interpolation(cell: int) -> Floats:
    """The bilinear weights (9, cell * cell) of a cell and its eight neighbours for each pixel of the cell."""
    place = (np.arange(cell, dtype=np.float32) + 0.5) / cell - 0.5
    weights = np.stack((np.maximum(-place, 0), 1 - np.abs(place), np.maximum(place, 0)))
    return np.kron(weights, weights)
