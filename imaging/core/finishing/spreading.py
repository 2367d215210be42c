"""Spreads weighted colours on a grid to where there are none, from coarse to fine.

Gortler et al., "The Lumigraph", 1996, 3.4: push-pull.
"""

import numpy as np

from imaging.core.cells import Floats

# What the next coarser level counts where a level's own weight is between 0 and 1.
_COARSER_WEIGHT = 0.1


def spread(sums: Floats) -> Floats:
    """The colours (3, rows, columns) of weighted `sums` (4, rows, columns), from coarser levels where there is no weight."""
    if min(sums.shape[1:]) == 1:
        total = sums.sum(axis=(1, 2), keepdims=True)
        coarser = total[:3] / np.maximum(total[3:], np.float32(1e-6))
    else:
        coarser = _doubled(spread(_halved(sums)), sums.shape[1:])
    sums = _smoothed(sums)
    colours: Floats = (sums[:3] + _COARSER_WEIGHT * coarser) / (sums[3:] + np.float32(_COARSER_WEIGHT))
    return colours


def _halved(planes: Floats) -> Floats:
    _, rows, columns = planes.shape
    padded = np.pad(planes, ((0, 0), (0, rows % 2), (0, columns % 2)))
    halved: Floats = padded.reshape(len(planes), padded.shape[1] // 2, 2, -1, 2).sum(axis=(2, 4)) / np.float32(4)
    return halved


def _doubled(planes: Floats, shape: tuple[int, ...]) -> Floats:
    """`planes` at twice the size, interpolated, cut to `shape`."""
    for axis in (1, 2):
        before, after = _shifted(planes, axis)
        pair = np.stack((planes * 0.75 + before * 0.25, planes * 0.75 + after * 0.25), axis=axis + 1)
        planes = pair.reshape([2 * side if index == axis else side for index, side in enumerate(planes.shape)])
    return planes[:, : shape[0], : shape[1]].astype(np.float32, copy=False)


def _smoothed(planes: Floats) -> Floats:
    """The weighted means over 3 x 3 cells."""
    for axis in (1, 2):
        before, after = _shifted(planes, axis)
        planes = planes * 0.5 + (before + after) * 0.25
    return planes


def _shifted(planes: Floats, axis: int) -> tuple[Floats, Floats]:
    """For each cell its neighbour before and after it along `axis`; at the rim itself."""
    # np.pad takes four times as long.
    first, last, but_first, but_last = (
        tuple(part if index == axis else slice(None) for index in range(3))
        for part in (slice(0, 1), slice(-1, None), slice(1, None), slice(0, -1))
    )
    return (
        np.concatenate((planes[first], planes[but_last]), axis=axis),
        np.concatenate((planes[but_first], planes[last]), axis=axis),
    )
