"""How good cutouts are against known alpha: one look, the second look, and rembg with u2net, plain and with alpha matting.

    python -m tests.bench.bench_quality [--part "held out"] [--photographs FOLDER] [--matting] [--only 1/2 --only wide]

The composites of tests.bench.composites: subjects of photographs whose longer side is the frame's (1), a half, a third or a
quarter of it, on grounds of other colours and of like ones, two subjects, subjects along an image of 3:1, and thin drawn
subjects at a third of the frame. The
errors are those of the matting literature: SAD (in thousands), MSE, gradient and connectivity (Rhemann et al., "A
Perceptually Motivated Online Benchmark for Image Matting", CVPR 2009; in thousands), besides MAE and IoU at one half. Times
are processor seconds of the mattes alone. `--matting` adds rembg's `-a`, which compiles for a minute. `--photographs` adds
the photographs of a folder, in turn to "tuning" and "held out", which scikit-image has few of. "tuning" are the composites
that chose the constants: report "held out". `--grounds` sets the subjects of the part on the grounds of another.
"""

import argparse
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from imaging.core.matting.engines import OnnxRuntimeEngine
from imaging.core.matting.islands import pieces
from imaging.core.matting.looks import look
from imaging.core.matting.matte import MatteModel, NetworkModel
from imaging.core.matting.refine import enlarge
from imaging.core.weights.files import serving_path
from imaging.core.weights.serving import load_native
from tests.bench.bench_edges import gradient
from tests.bench.composites import (
    CAMOUFLAGE,
    GROUNDS,
    PARTS,
    SIDE,
    Composite,
    Subjects,
    background,
    composites,
    drawn_subjects,
    find_subjects,
    noisy,
    put,
)
from tests.bench.results import Results

SHARES = {"1": 1.0, "1/2": 0.5, "1/3": 1 / 3, "1/4": 0.25}
# Grounds of colours that are drawn towards the subject's.
ALIKE = {"1/2 alike": 0.5, "1/3 alike": 1 / 3}
KINDS = (*SHARES, *ALIKE, "two", "wide", "thin")
FIGURES = ("sad", "mse", "gradient", "connectivity", "mae", "iou", "seconds", "looks")
CONNECTIVITY_STEPS = np.arange(0.1, 1.01, 0.1)
# Differences below this do not disturb (Rhemann et al.).
CONNECTIVITY_SLACK = 0.15
Cut = Callable[[Image.Image], tuple[Image.Image, int]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", default="held out", choices=PARTS)
    parser.add_argument("--grounds", choices=PARTS, help="the part whose grounds are used, unless --part's own")
    parser.add_argument("--photographs", type=Path, metavar="FOLDER", help="further photographs")
    parser.add_argument("--matting", action="store_true", help="also rembg with alpha matting")
    parser.add_argument("--quick", action="store_true", help="without rembg, gradient and connectivity")
    parser.add_argument("--only", action="append", choices=KINDS)
    arguments = parser.parse_args()
    model = load_native("u2net", threads=os.cpu_count() or 1)
    subjects = find_subjects(model, arguments.part, arguments.photographs)
    grounds = GROUNDS[arguments.grounds or arguments.part]
    results = Results("bench_quality", model=model.name, part=arguments.part, grounds=grounds, subjects=len(subjects))
    print(f"{'':9} {'':12}" + "".join(f"{name:>13}" for name in FIGURES) + f"{'worst IoU':>13}")
    for kind in arguments.only or KINDS:
        shown = drawn_subjects(arguments.part) if kind == "thin" else subjects
        images = list(scenes(shown, grounds, kind))
        for name, cut in ways(model, rembg=not arguments.quick, matting=arguments.matting).items():
            rows = [measured(one, cut, quick=arguments.quick) for one in images]
            mean = dict(zip(FIGURES, np.mean(rows, axis=0).tolist(), strict=True))
            worst = min(row[FIGURES.index("iou")] for row in rows)
            print(f"{kind:9} {name:12}" + "".join(f"{value:13.4f}" for value in (*mean.values(), worst)), flush=True)
            results.add(f"{kind}: {name}", images=len(images), worst_iou=worst, **mean)


def ways(model: MatteModel, *, rembg: bool, matting: bool) -> dict[str, Cut]:
    found: dict[str, Cut] = {
        "detail=fast": lambda image: ours(model, image, again=False),
        "detail=auto": lambda image: ours(model, image, again=True),
    }
    if rembg:
        exact = NetworkModel(OnnxRuntimeEngine(serving_path("u2net"), threads=os.cpu_count() or 1), name="u2net")
        found["rembg"] = lambda image: (enlarge(exact.predict(image).matte, image, refine=False), 1)
    if matting:
        from rembg import new_session, remove

        session = new_session("u2net")
        found["rembg -a"] = lambda image: (remove(image, session=session, alpha_matting=True).getchannel("A"), 1)
    return found


def ours(model: MatteModel, image: Image.Image, *, again: bool) -> tuple[Image.Image, int]:
    found = look(image, model.predict, again=again)
    return enlarge(found.matte, image, refine=True), int(found.model.partition("looks=")[2] or 1)


def scenes(subjects: Subjects, grounds: tuple[str, ...], kind: str) -> Iterator[Composite]:
    if kind == "thin":
        yield from composites(subjects, grounds, 1 / 3, camouflage=CAMOUFLAGE)
        return
    if kind in SHARES:
        yield from composites(subjects, grounds, SHARES[kind])
        return
    if kind in ALIKE:
        yield from composites(subjects, grounds, ALIKE[kind], camouflage=CAMOUFLAGE)
        return
    names = list(subjects)
    for number, name in enumerate(names):
        pair = [subjects[name], subjects[names[(number + 1) % len(names)]]]
        size = (SIDE, SIDE * 2 // 3) if kind == "two" else (1500, 500)
        ground = background(grounds[number % len(grounds)], size)
        random = np.random.default_rng([number, len(kind)])
        yield in_a_row(f"{kind}: {name}", pair if kind == "two" else pair * 2, ground, random)


def in_a_row(name: str, subjects: list[Image.Image], ground: Image.Image, random: np.random.Generator) -> Composite:
    """`subjects` next to each other, each in a part of the frame's width."""
    behind, alpha = ground.convert("RGBA"), Image.new("L", ground.size)
    width = ground.width // len(subjects)
    for place, subject in enumerate(subjects):
        box = (place * width, 0, (place + 1) * width, ground.height)
        part, part_alpha = behind.crop(box), alpha.crop(box)
        put(part, part_alpha, subject, 0.5 if len(subjects) == 2 else 0.9, random)
        behind.paste(part, box[:2])
        alpha.paste(part_alpha, box[:2])
    return Composite(name, 0.5, noisy(behind, random), alpha)


def measured(made: Composite, cut: Cut, *, quick: bool) -> list[float]:
    started = time.process_time()
    alpha, looks = cut(made.image)
    seconds = time.process_time() - started
    ours, truth = (np.asarray(one, np.float32) / 255 for one in (alpha, made.alpha))
    difference = np.abs(ours - truth)
    slope = np.zeros(1) if quick else (gradient(alpha) - gradient(made.alpha)) ** 2
    return [
        float(difference.sum()) / 1000,
        float((difference**2).mean()),
        float(slope.sum()) / 1000,
        0.0 if quick else connectivity_error(ours, truth) / 1000,
        float(difference.mean()),
        overlap(ours, truth),
        seconds,
        float(looks),
    ]


def overlap(ours: np.ndarray, truth: np.ndarray) -> float:
    """The IoU of what is at least half subject."""
    one, other = ours >= 0.5, truth >= 0.5
    return float((one & other).sum() / max(1, (one | other).sum()))


def connectivity_error(ours: np.ndarray, truth: np.ndarray) -> float:
    """How differently the two are connected to the largest region that both are sure of: 2.2 in the paper above."""
    level = np.full(ours.shape, -1.0, np.float32)
    previous = 0.0
    for step in CONNECTIVITY_STEPS:
        found = pieces((ours >= step) & (truth >= step))
        source = np.zeros(ours.shape, np.float32)
        if found:
            max(found, key=lambda piece: piece.area).fill(source, 1)
        level[(level < 0) & (source == 0)] = previous
        previous = float(step)
    level[level < 0] = 1
    phi = []
    for alpha in (ours, truth):
        distance = alpha - level
        phi.append(1 - distance * (distance >= CONNECTIVITY_SLACK))
    return float(np.abs(phi[0] - phi[1]).sum())


if __name__ == "__main__":
    main()
