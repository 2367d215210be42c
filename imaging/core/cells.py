"""Values on a grid of square cells, and their interpolation for the pixels of a cell."""

from functools import cache
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float32]


def neighbours(planes: Floats, rows: npt.NDArray[np.intp], columns: npt.NDArray[np.intp]) -> Floats:
    """For `n` cells their own and their eight neighbours' values: (planes, n, 9).

    `planes` (planes, rows + 2, columns + 2) holds the grid in a rim of one cell.
    """
    return np.stack([planes[:, rows + down, columns + across] for down in range(3) for across in range(3)], axis=-1)


@cache
def interpolation(cell: int) -> Floats:
    """The bilinear weights (9, cell * cell) of a cell and its eight neighbours for each pixel of the cell."""
    place = (np.arange(cell, dtype=np.float32) + 0.5) / cell - 0.5
    weights = np.stack((np.maximum(-place, 0), 1 - np.abs(place), np.maximum(place, 0)))
    return np.kron(weights, weights)
