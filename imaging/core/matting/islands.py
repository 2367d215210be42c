"""Takes specks far from the subject and pinholes in it out of a matte, where the network was not sure of them."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from imaging.core.geometry import Box

Floats: TypeAlias = npt.NDArray[np.float32]
Mask: TypeAlias = npt.NDArray[np.bool_]

# What the network is sure of is neither a speck nor a hole: subject above the first value, background below the second.
SURE, SURE_BACKGROUND = 0.9, 0.1
# Below this a pixel belongs to no piece.
_VISIBLE = 0.04
# A speck has less than this share of the largest piece, a pinhole less than that of all subject.
_SPECK, _PINHOLE = 0.02, 0.002
# A speck is at least this far from the largest piece, as a share of the longer side.
_FAR = 0.03


@dataclass(slots=True)
class Piece:
    """Connected pixels: their number, their box, and their runs (row, start, end)."""

    area: int
    box: Box
    runs: list[tuple[int, int, int]]

    def fill(self, plane: Floats, value: float) -> None:
        for row, start, end in self.runs:
            plane[row, start:end] = value

    def extremes(self, plane: Floats) -> tuple[float, float]:
        """The least and the greatest value of `plane` in this piece."""
        lines = [plane[row, start:end] for row, start, end in self.runs]
        return min(float(line.min()) for line in lines), max(float(line.max()) for line in lines)


def clean(response: Floats) -> Floats:
    """`response` (height, width), 0-1, without specks and pinholes. What is above SURE stays as it is."""
    result = response.copy()
    places = pieces(response >= _VISIBLE)
    if not places:
        return result
    subject = max(places, key=lambda piece: piece.area)
    for piece in places:
        is_small = piece is not subject and piece.area < _SPECK * subject.area
        if (
            is_small
            and _distance(piece.box, subject.box) >= _FAR * max(response.shape)
            and piece.extremes(response)[1] <= SURE
        ):
            piece.fill(result, 0)
    _fill_pinholes(response, result, subject.area)
    return result


def _fill_pinholes(response: Floats, result: Floats, subject: int) -> None:
    height, width = response.shape
    for hole in pieces(response < SURE):
        left, top, right, bottom = hole.box
        is_inside = left > 0 and top > 0 and right < width and bottom < height
        if is_inside and hole.area < _PINHOLE * subject and hole.extremes(response)[0] >= SURE_BACKGROUND:
            hole.fill(result, 1)


def _distance(one: Box, other: Box) -> int:
    """Between two boxes, along the axis where they are further apart."""
    across = max(one[0] - other[2], other[0] - one[2])
    down = max(one[1] - other[3], other[1] - one[3])
    return max(across, down)


def pieces(mask: Mask) -> list[Piece]:
    """The pieces of `mask` that are connected along rows and columns, in no order."""
    found: dict[int, Piece] = {}
    parents: list[int] = []
    above: list[tuple[int, int, int]] = []
    for row, line in enumerate(mask):
        ends = np.flatnonzero(np.diff(line, prepend=False, append=False)).tolist()
        current = []
        first = 0
        for start, end in zip(ends[::2], ends[1::2], strict=True):
            number = len(parents)
            parents.append(number)
            found[number] = Piece(end - start, (start, row, end, row + 1), [(row, start, end)])
            while first < len(above) and above[first][1] <= start:
                first += 1
            for other_start, _, other in above[first:]:
                if other_start >= end:
                    break
                number = _merged(found, parents, number, other)
            current.append((start, end, number))
        above = current
    return list(found.values())


def _merged(found: dict[int, Piece], parents: list[int], one: int, other: int) -> int:
    """The number of the piece that `one` and `other` have become."""
    one, other = _root(parents, one), _root(parents, other)
    if one == other:
        return one
    if len(found[one].runs) < len(found[other].runs):
        one, other = other, one
    parents[other] = one
    kept, gone = found[one], found.pop(other)
    kept.area += gone.area
    kept.runs += gone.runs
    (left, top, right, bottom), box = kept.box, gone.box
    kept.box = min(left, box[0]), min(top, box[1]), max(right, box[2]), max(bottom, box[3])
    return one


def _root(parents: list[int], number: int) -> int:
    while parents[number] != number:
        parents[number] = parents[parents[number]]
        number = parents[number]
    return number
