"""How much of the old background is left in edges after `decontaminate`, and what that costs.

    python -m tests.bench.bench_edge_colours [--megapixels 1] [--all] [--timing]

Composites of known subject and alpha (those of bench_edges) are cut out and put on five new backgrounds: white, black,
blue, green and a photograph. The error is the mean absolute difference from the true composite over the edge pixels, with
the step divided by without, first along the true alpha, then along a matte of 320 pixels made from it and refined, as the
model's would be. The constants of imaging.core.finishing.edge_colours were chosen on the even images; the odd ones are
reported, all of them with --all. `--timing` compares whole cutouts with and without the step, in turn, with the real model.
"""

import argparse
import io
import os
import statistics
import time
from collections.abc import Mapping

import numpy as np
from PIL import Image
from skimage import data

from imaging.core.canvas import in_own_memory
from imaging.core.codecs.headers import read_header
from imaging.core.finishing.edge_colours import decontaminate
from imaging.core.matting.refine import enlarge
from imaging.core.options import CutoutOptions
from imaging.core.pipeline import cut_out
from imaging.core.weights.serving import load_native
from tests.bench.bench_edges import IMAGES, layered_scene, photograph

MATTE_SIDE = 320
GOAL = 0.6
SHARE_GOAL = 0.1
GROUNDS: Mapping[str, tuple[int, int, int]] = {
    "white": (255, 255, 255),
    "black": (0, 0, 0),
    "blue": (0, 80, 255),
    "green": (0, 200, 80),
}
TIMED_SIDES = (1000, 3464)
ROUNDS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megapixels", type=float, default=1)
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--timing", action="store_true", help="only the comparison of times")
    arguments = parser.parse_args()
    if not arguments.timing:
        side = round((arguments.megapixels * 1e6) ** 0.5)
        ratios = [compare(index, side) for index in range(IMAGES) if arguments.all or index % 2]
        known, refined = np.exp(np.mean(np.log(ratios), axis=0))
        print(f"error with / without: true alpha {known:.2f}, goal <= {GOAL}; refined matte {refined:.2f}")
    for side in TIMED_SIDES:
        compare_times(side)


def compare(index: int, side: int) -> tuple[float, float]:
    name, image, alpha, subject = layered_scene(index, side)
    small = alpha.resize((MATTE_SIDE, MATTE_SIDE), Image.Resampling.BOX)
    ratios = [ratio(image, matte, alpha, subject) for matte in (alpha, enlarge(small, image, refine=True))]
    print(f"  {index:2} {name:28} true alpha {ratios[0]:.2f}  refined matte {ratios[1]:.2f}", flush=True)
    return ratios[0], ratios[1]


def ratio(image: Image.Image, matte: Image.Image, alpha: Image.Image, subject: np.ndarray) -> float:
    cleaned = in_own_memory(image.copy())
    decontaminate(cleaned, matte)
    edge = (np.asarray(matte) > 0) & (np.asarray(matte) < 255)
    grounds = [np.broadcast_to(np.array(colour, np.float32), subject.shape) for colour in GROUNDS.values()]
    grounds.append(np.asarray(photograph("rocket", image.width), np.float32))
    errors = np.zeros(2)
    for ground in grounds:
        truth = composite(subject, alpha, ground)
        for place, colours in enumerate((image, cleaned)):
            made = composite(np.asarray(colours, np.float32), matte, ground)
            errors[place] += np.abs(made - truth)[edge].mean()
    return float(errors[1] / errors[0])


def composite(colours: np.ndarray, alpha: Image.Image, ground: np.ndarray) -> np.ndarray:
    share = np.asarray(alpha, np.float32)[..., np.newaxis] / 255
    return colours * share + ground * (1 - share)


def compare_times(side: int) -> None:
    buffer = io.BytesIO()
    Image.fromarray(data.astronaut()).resize((side, side), Image.Resampling.LANCZOS).save(buffer, "JPEG", quality=90)
    model = load_native("u2net", threads=os.cpu_count() or 1)
    header = read_header(buffer)
    times: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(ROUNDS + 1):
        for is_on, measured in times.items():
            started = time.perf_counter()
            cut_out(buffer, header, CutoutOptions(decontaminate=is_on), model).content.close()
            measured.append(time.perf_counter() - started)
    on, off = (statistics.median(times[is_on][1:]) for is_on in (True, False))
    share = f"{(on - off) / off:+.1%}, goal < {SHARE_GOAL:.0%}"
    print(f"{side * side / 1e6:.0f} MP, seconds with {on:.2f}, without {off:.2f}: {share}", flush=True)


if __name__ == "__main__":
    main()
