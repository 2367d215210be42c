"""How close the edge of a brush stroke comes to the true one, plainly and where it follows the image's edges.

    python -m tests.bench.bench_stroke_edge [--part "held out"] [--strokes 6]

Needs Node.

On composites of known alpha (tests.bench.composites) the matte gets a fault along a piece of the subject's edge: a false
halo, or a missing piece. A stroke repairs it. Its rim follows the true edge as a hand does, a few pixels off. The
error is the mean absolute difference from the true alpha, 0-255, within BAND pixels of that piece of the edge. Prints the
medians over all strokes, and the share of strokes that following the image makes worse. "tuning" are the composites that
chose the constants: report "held out".
"""

import argparse
import base64
import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage
from skimage import measure

from imaging.core.matting.engines import OnnxRuntimeEngine
from imaging.core.matting.matte import NetworkModel
from imaging.core.weights.files import serving_path
from tests.bench.composites import GROUNDS, PARTS, Composite, composites, drawn_subjects, find_subjects

# Of the edge, in pixels: how much of it is faulty, and how far from it errors count.
PIECE, BAND = 160, 16
# How far the rim of a stroke is from the edge: the standard deviation, in pixels.
HANDS = (0.0, 2.0, 4.0, 8.0)
RADIUS, HARDNESS = 18, 0.8
# How far the edge of a stroke may move, and what the window has on each side of the stroke.
REACH = 16
MARGIN = 4 * REACH
SCRIPT = Path(__file__).with_name("refine_stroke.mjs")
# By kind, the longer side of a subject in that of the composite.
SHARES = {"thing": 0.5, "thin": 0.6}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", choices=PARTS, default="held out")
    parser.add_argument("--strokes", type=int, default=6, help="for each composite, in turn erasing and restoring")
    arguments = parser.parse_args()
    browser = Browser()
    rows = []
    for one in cases(arguments.part, arguments.strokes):
        plain, refined, milliseconds = browser.apply(one)
        rows.append((one.hand, one.erases, *(error(alpha, one) for alpha in (one.before, plain, refined)), milliseconds))
    browser.close()
    figures = np.array(rows)
    for hand in HANDS:
        for erases in (True, False):
            name = f"{'erase' if erases else 'keep':5}, {hand:g} px off the edge"
            report(name, figures[(figures[:, 0] == hand) & (figures[:, 1] == erases)])
    report("all", figures)


def report(name: str, rows: np.ndarray) -> None:
    before, plain, refined = np.median(rows[:, 2:5], axis=0)
    worse = np.mean(rows[:, 4] > rows[:, 3] + 0.5)
    print(
        f"{name:28} {len(rows):4} strokes: before {before:5.1f}, plain {plain:5.1f}, following {refined:5.1f};"
        f" worse {worse:4.0%}; {np.median(rows[:, 5]):.0f} ms"
    )


@dataclass(frozen=True, slots=True)
class Stroke:
    """A window of an image (RGB) around a stroke, with the mattes before it and as it should be. All are arrays of bytes."""

    name: str
    erases: bool
    hand: float
    pixels: np.ndarray
    before: np.ndarray
    coverage: np.ndarray
    truth: np.ndarray
    counted: np.ndarray


def strokes(composite: Composite, number: int, seed: int) -> Iterator[Stroke]:
    random = np.random.default_rng(seed)
    truth = np.asarray(composite.alpha)
    contours = [line for line in measure.find_contours(truth, 127.5) if len(line) > 2 * PIECE]
    for index in range(number if contours else 0):
        line = contours[int(random.integers(len(contours)))]
        start = int(random.integers(len(line)))
        piece = np.take(line, range(start, start + 2 * PIECE), axis=0, mode="wrap")
        for hand in HANDS:
            yield stroke(composite, piece, erases=index % 2 == 0, hand=hand, random=random)


def stroke(composite: Composite, piece: np.ndarray, *, erases: bool, hand: float, random: np.random.Generator) -> Stroke:
    truth = np.asarray(composite.alpha)
    near = distance_from(piece, truth.shape) < BAND
    before = faulty(truth, piece, erases, random)
    coverage = painted(truth, piece, erases, hand, random)
    rows, columns = (slice(*window(np.asarray(coverage.any(axis=1 - axis)))) for axis in (0, 1))
    cut = [part[rows, columns] for part in (np.asarray(composite.image), before, coverage, truth, near)]
    return Stroke(composite.name, erases, hand, *cut)


def window(used: np.ndarray) -> tuple[int, int]:
    places = np.nonzero(used)[0]
    return max(0, int(places[0]) - MARGIN), min(len(used), int(places[-1]) + MARGIN)


def distance_from(points: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    free = np.ones(shape, bool)
    free[tuple(np.rint(points).astype(int).T)] = False
    return np.asarray(ndimage.distance_transform_edt(free))


def faulty(truth: np.ndarray, piece: np.ndarray, erases: bool, random: np.random.Generator) -> np.ndarray:
    """`truth` with a halo of some pixels along `piece` (in the middle of it), or without its rim there."""
    depth = float(random.uniform(6, 16))
    middle = piece[len(piece) // 6 : -len(piece) // 6]
    near = ndimage.gaussian_filter((distance_from(middle, truth.shape) < depth).astype(np.float32), 1)
    added = near * 255
    result = np.maximum(truth, added) if erases else np.minimum(truth, 255 - added)
    return np.rint(result).astype(np.uint8)


def painted(truth: np.ndarray, piece: np.ndarray, erases: bool, hand: float, random: np.random.Generator) -> np.ndarray:
    """The coverage of a stroke along `piece` on the side of what has to change, 0-255."""
    smooth = ndimage.gaussian_filter(truth.astype(np.float32), 4)
    outwards = -np.stack([ndimage.map_coordinates(slope, piece.T, order=1) for slope in np.gradient(smooth)], axis=1)
    outwards = ndimage.gaussian_filter1d(outwards, 8, axis=0)
    outwards /= np.maximum(np.linalg.norm(outwards, axis=1, keepdims=True), 1e-6)
    shake = ndimage.gaussian_filter1d(random.normal(0, 1, len(piece)), 25, mode="nearest")
    shake = hand * shake / max(shake.std(), 1e-6)
    # At this distance from its centre a stroke covers one half.
    rim = RADIUS * (1 + HARDNESS) / 2
    path = ndimage.gaussian_filter1d(piece, 3, axis=0) + outwards * ((rim if erases else -rim) + shake)[:, np.newaxis]
    path = path[(path >= 0).all(axis=1) & (path < np.array(truth.shape) - 1).all(axis=1)]
    fall = (RADIUS - distance_from(path, truth.shape)) / (RADIUS * (1 - HARDNESS))
    fall = fall.clip(0, 1)
    return np.rint(255 * fall * fall * (3 - 2 * fall)).astype(np.uint8)


class Browser:
    """The editor's own code for strokes, run by Node."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(["node", SCRIPT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def apply(self, stroke: Stroke) -> tuple[np.ndarray, np.ndarray, float]:
        """The mattes after `stroke`, plainly and where it follows the image, and the milliseconds that this takes."""
        height, width = stroke.before.shape
        rgba = np.dstack((stroke.pixels, np.full((height, width), 255, np.uint8)))
        planes = {"rgba": rgba, "before": stroke.before, "stroke": stroke.coverage}
        sent = {name: base64.b64encode(plane.tobytes()).decode() for name, plane in planes.items()}
        assert self._process.stdin and self._process.stdout
        print(
            json.dumps({"width": width, "height": height, "keeps": not stroke.erases, "reach": REACH, **sent}),
            file=self._process.stdin,
            flush=True,
        )
        answer = json.loads(self._process.stdout.readline())
        plain, refined = (
            np.frombuffer(base64.b64decode(answer[name]), np.uint8).reshape(height, width) for name in ("plain", "refined")
        )
        return plain, refined, answer["milliseconds"]

    def close(self) -> None:
        self._process.communicate()


def error(alpha: np.ndarray, stroke: Stroke) -> float:
    return float(np.abs(alpha.astype(np.float32) - stroke.truth)[stroke.counted].mean())


def cases(part: str, number: int) -> Iterator[Stroke]:
    model = NetworkModel(OnnxRuntimeEngine(serving_path("u2net"), threads=os.cpu_count() or 1), name="u2net")
    subjects = {"thing": find_subjects(model, part, None), "thin": drawn_subjects(part)}
    for kind, share in SHARES.items():
        for index, composite in enumerate(composites(subjects[kind], GROUNDS[part], share)):
            yield from strokes(composite, number, index)


if __name__ == "__main__":
    main()
