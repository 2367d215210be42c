"""Takes the colour of the old background out of the edge.

A pixel of the edge shows a mixture: I = alpha F + (1 - alpha) B. On another background F alone belongs there. F and B are
estimated in two scales. On a grid of cells, the weighted means of the surely opaque and of the surely transparent pixels
are spread to where there are none, from coarse to fine (Gortler et al., "The Lumigraph", 1996, 3.4: push-pull). Between the
cells they are interpolated, and of what they leave unexplained of a pixel a share of alpha squared is added to F (in Forte's
fast blur fusion, "Approximate Fast Foreground Colour Estimation", ICIP 2021, it is alpha). So F meets the image's own
colours where alpha meets 1.

Where the network is undecided throughout, as in a thin or a faint subject, what is sure is something else, and its colour
would replace the subject's. So two kinds of pixels keep their own colour: those far from everything sure, and those whose
colour is no mixture of the subject's and the background's about them.

The constants were chosen with tests/bench/bench_edge_colours.py, on the half of its images that it does not report on.
"""

import math
from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from imaging.core.canvas import in_own_memory, rows_of
from imaging.core.cells import Floats, interpolation, neighbours
from imaging.core.cores import for_each
from imaging.core.finishing.spreading import spread
from imaging.core.strips import strips

Bytes: TypeAlias = npt.NDArray[np.uint8]
Mask: TypeAlias = npt.NDArray[np.bool_]
# Top and bottom of a strip, and its rows of cells.
CellStrip: TypeAlias = tuple[int, int, slice]

# The longer side in cells: at 12 megapixels a cell has 14 x 14 pixels. 512 are no better, and cost
# four times as much at 1 megapixel.
_CELLS = 256
# The weight of a pixel of partial alpha is a power of alpha, or of its complement: 0.9 counts 0.19.
_SHARPNESS = 16
_OPACITY = (np.arange(256) / 255).astype(np.float32) ** _SHARPNESS
# Cells further from all edges than this count for nothing, which saves reading them.
_REACH = 8
# A cell whose subject weighs this much is surely subject: three pixels in ten are.
_SURE = 0.3
# Edge colours are replaced up to the first distance from sure subject, in cells, and less and less up to the second: 5 and
# 9 % of the longer side. Strands of hair are shorter.
_NEAR, _FAR = 12, 24
# Edge colours are replaced up to the first distance of a pixel's colour from the mixtures of subject and background, in
# units of a band, and less and less up to the second.
_MIXED, _OTHER = 0.05, 0.15
# Half a million pixels at a time: at most 40 MB for each core where all of them are edge.
_STRIP_PIXELS = 512 * 1024


def decontaminate(image: Image.Image, matte: Image.Image) -> None:
    """Give the pixels of `image` (RGB or RGBA) where `matte` (L, same size) is between 0 and 255 the subject's colour.

    In place, for which `image` has to be in its own memory; all other pixels, and the image's own alpha, keep every bit.
    10 to 40 ms of one core a megapixel.
    """
    matte = in_own_memory(matte)
    cell = math.ceil(max(image.size) / _CELLS)
    sums, edge = _summed(image, matte, cell)
    # Without a cell's worth of sure subject and of sure background there is nothing to tell them apart by.
    if not edge.any() or min(sums[3].sum(), sums[7].sum()) < 1:
        return
    subject, background = spread(sums[:4]), spread(sums[4:])
    planes = np.concatenate((subject, background, _trust(sums[3] >= _SURE)[np.newaxis]))
    grid = np.pad(planes, ((0, 0), (1, 1), (1, 1)), mode="edge")

    def draw(strip: CellStrip) -> None:
        top, bottom, cells = strip
        if edge[cells].any():
            _draw(image, matte, (top, bottom), cell, edge[cells], grid[:, cells.start : cells.stop + 2])

    for_each(draw, _cell_strips(image.size, cell))


def _trust(sure: Mask) -> Floats:
    """For each cell 1 to 0, the less the further it is from those that are `sure`: see _NEAR and _FAR."""
    steps = np.zeros(sure.shape, np.float32)
    for _ in range(_FAR):
        steps += sure
        sure = _grown(sure)
    return (steps / np.float32(_FAR - _NEAR)).clip(0, 1)


def _grown(mask: Mask) -> Mask:
    """`mask` and the cells next to it, along, across and diagonally."""
    for axis in (0, 1):
        padded = np.pad(mask, [(1, 1) if index == axis else (0, 0) for index in (0, 1)])
        before, after = (padded[:-2], padded[2:]) if axis == 0 else (padded[:, :-2], padded[:, 2:])
        mask = mask | before | after
    return mask


def _cell_strips(size: tuple[int, int], cell: int) -> Iterator[CellStrip]:
    for top, bottom in strips(size, multiple=cell, pixels=_STRIP_PIXELS):
        yield top, bottom, slice(top // cell, -(-bottom // cell))


def _summed(image: Image.Image, matte: Image.Image, cell: int) -> tuple[Floats, Mask]:
    """For each cell the weighted colours and the weight of subject and background (8, rows, columns), 0-1, and a mask of
    the cells with edge pixels. Cells far from any edge have no weight."""
    low, high = _extremes(matte, cell)
    edge = (low < 255) & (high > 0)
    sums = np.zeros((8, *edge.shape), np.float32)
    if not edge.any():
        return sums, edge
    rows_with_edge: Mask = np.any(edge, axis=1)
    columns_with_edge: Mask = np.any(edge, axis=0)
    near, columns = _reach(rows_with_edge), _reach(columns_with_edge)
    left, right = columns.start * cell, min(columns.stop * cell, image.width)

    def sum_up(strip: CellStrip) -> None:
        top, bottom, cells = strip
        if cells.stop <= near.start or cells.start >= near.stop:
            return
        part, means = (cells, columns), image.crop((left, top, right, bottom)).reduce(cell)
        _sum_pure(means, low[part] == 255, high[part] == 0, sums[:, cells, columns])
        if edge[part].any():
            pixels, alpha = (_padded(rows_of(one, top, bottom)[:, left:right], cell) for one in (image, matte))
            _sum_mixed(pixels, image.mode == "RGBA", alpha, cell, edge[part], sums[:, cells, columns])

    for_each(sum_up, _cell_strips(image.size, cell))
    # So that the result does not depend on where strips end.
    sums[:, : near.start] = sums[:, near.stop :] = 0
    return sums, edge


def _extremes(matte: Image.Image, cell: int) -> tuple[Bytes, Bytes]:
    """The least and the greatest value of each cell."""
    low, high = np.empty((2, -(-matte.height // cell), -(-matte.width // cell)), np.uint8)

    def find(strip: CellStrip) -> None:
        top, bottom, cells = strip
        alpha = _padded(rows_of(matte, top, bottom), cell)
        low[cells], high[cells] = (_by_cell(alpha, reduce, cell) for reduce in (np.minimum, np.maximum))

    for_each(find, _cell_strips(matte.size, cell))
    return low, high


def _reach(edge: Mask) -> slice:
    """From the first to the last row or column of `edge` that is set, and _REACH more on either side."""
    used = np.nonzero(edge)[0]
    return slice(max(0, int(used[0]) - _REACH), min(len(edge), int(used[-1]) + 1 + _REACH))


def _sum_pure(reduced: Image.Image, subject: Mask, background: Mask, sums: Floats) -> None:
    """Put the sums of the cells that are wholly `subject` or `background` into `sums`, in place."""
    colours = np.asarray(reduced, np.float32).transpose(2, 0, 1) / np.float32(255)
    weight = colours[3] if len(colours) == 4 else np.ones_like(colours[0])
    for first, pure in ((0, subject), (4, background)):
        sums[first : first + 3] = colours[:3] * (pure * weight)
        sums[first + 3] = pure * weight


def _padded(pixels: Bytes, cell: int) -> Bytes:
    """`pixels` with the last row and column repeated up to whole cells."""
    height, width = pixels.shape[:2]
    down, across = (-(-side // cell) * cell for side in (height, width))
    if (down, across) == (height, width):
        return pixels
    # np.pad takes longer, most of it for its arguments.
    padded = np.empty((down, across, *pixels.shape[2:]), np.uint8)
    padded[:height, :width] = pixels
    padded[:height, width:] = padded[:height, width - 1 : width]
    padded[height:] = padded[height - 1]
    return padded


def _by_cell(alpha: Bytes, reduce: np.ufunc, cell: int) -> Bytes:
    lines = reduce.reduce(alpha.reshape(-1, cell, alpha.shape[1]), axis=1)
    # Far quicker than reducing an axis as short as a cell.
    result: Bytes = lines[:, ::cell]
    for place in range(1, cell):
        result = reduce(result, lines[:, place::cell])
    return result


def _sum_mixed(strip: Bytes, has_alpha: bool, matte: Bytes, cell: int, mixed: Mask, sums: Floats) -> None:
    """Put the sums of the cells of `mixed` into `sums`, in place. Without `has_alpha` the fourth band of `strip` is void."""
    rows, columns, pixels = _tiles(strip, cell, mixed)
    colours = pixels.reshape(len(rows), cell * cell, 4) / np.float32(255)
    own = colours[..., 3].copy() if has_alpha else np.float32(1)
    # Red, green, blue and 1.
    colours[..., 3] = 1
    grey = _tiles(matte, cell, mixed)[2].reshape(len(rows), -1)
    for first, values in ((0, grey), (4, 255 - grey)):
        weight = (_OPACITY[values] * own)[:, np.newaxis]
        sums[first : first + 4, rows, columns] = (weight @ colours)[:, 0].T / np.float32(cell * cell)


def _tiles(pixels: Bytes, cell: int, where: Mask) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], Bytes]:
    """Rows, columns and pixels (n, cell, cell, …) of the cells of `where`."""
    rows, columns = np.nonzero(where)
    tiles = pixels.reshape(len(where), cell, where.shape[1], cell, *pixels.shape[2:])
    return rows, columns, tiles[rows, :, columns]


def _draw(image: Image.Image, matte: Image.Image, lines: tuple[int, int], cell: int, edge: Mask, grid: Floats) -> None:
    """Recolour the edge pixels in the cells of `edge` in the strip `lines` (top, bottom) of `image`, in place."""
    used = np.nonzero(edge.any(axis=0))[0]
    left, right = int(used[0]), int(used[-1]) + 1
    across = slice(left * cell, min(right * cell, image.width))
    pixels, alpha = rows_of(image, *lines)[:, across], rows_of(matte, *lines)[:, across]
    result, where = _padded(pixels, cell), edge[:, left:right]
    rows, columns, tiles = _tiles(result, cell, where)
    grey = _tiles(_padded(alpha, cell), cell, where)[2].reshape(len(rows), -1)
    # One product per cell: a single large one would wake BLAS' threads, which cost more than they save.
    terms = neighbours(grid, rows, columns + left).transpose(1, 0, 2) @ interpolation(cell)
    _recolour(tiles.reshape(len(rows), cell * cell, -1), grey, terms)
    result.reshape(len(where), cell, where.shape[1], cell, -1)[rows, :, columns] = tiles
    if result is not pixels:
        pixels[:] = result[: pixels.shape[0], : pixels.shape[1]]


def _recolour(colours: Bytes, grey: Bytes, terms: Floats) -> None:
    """Give the edge pixels of `colours` (n, pixels, bands) the subject's colour, in place.

    `grey` (n, pixels) is their matte, `terms` (n, 7, pixels) the colours of subject and background about them and how far
    these are trusted, 0-1.
    """
    alpha = grey.astype(np.float32) / np.float32(255)
    inside, trust = (grey > 0) & (grey < 255), terms[:, 6] * _explained(colours, terms)
    for band in range(3):
        subject, background = terms[:, band], terms[:, band + 3]
        own = colours[..., band] / np.float32(255)
        rest = own - background - alpha * (subject - background)
        colour = own + trust * (subject + alpha * alpha * rest - own)
        colour = (colour * 255 + 0.5).clip(0, 255).astype(np.uint8)
        np.copyto(colours[..., band], colour, where=inside)


def _explained(colours: Bytes, terms: Floats) -> Floats:
    """1 where a pixel's colour is a mixture of the subject's and the background's about it, down to 0 where it is another.

    What counts is the distance from the line between the two: see _MIXED and _OTHER. Shape (n, pixels).
    """
    along, square, length = (np.zeros_like(terms[:, 0]) for _ in range(3))
    for band in range(3):
        towards = terms[:, band] - terms[:, band + 3]
        own = colours[..., band] / np.float32(255) - terms[:, band + 3]
        along += towards * own
        square += towards * towards
        length += own * own
    share = (along / np.maximum(square, np.float32(1e-6))).clip(0, 1)
    distance = np.sqrt(np.maximum(length - share * (2 * along - share * square), np.float32(0)))
    explained: Floats = ((np.float32(_OTHER) - distance) / np.float32(_OTHER - _MIXED)).clip(0, 1)
    return explained
