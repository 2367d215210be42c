"""How near the served mattes are to those of onnxruntime in fp32, on images that took no part in any choice.

    python -m tests.bench.bench_agreement [FOLDER ...] [--model u2net] [--composites 60]

Measures the photographs in each folder, which must have been used neither for a recipe (see scripts/calibrate_int8.py) nor
by the gate, and the composites of bench_confidence, whose faded and blurred subjects are hard. The model is served as it is
in production, its fallback included. Prints the mean absolute error (1 is from black to white), the mean intersection over
union at 0.5, and the share of images that INT8 left to fp32.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from imaging.core.cpu import count_cores
from imaging.core.matting.matte import as_matte, normalised, shrunk
from imaging.core.weights.engines import ONNXRUNTIME, make_engine
from imaging.core.weights.gate import agreement
from imaging.core.weights.registry import NATIVE
from imaging.core.weights.serving import load_native
from tests.bench.bench_confidence import hardened
from tests.bench.results import Results

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
GOALS = "goals: error <= 0.002, overlap >= 0.985"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--model", default="u2net")
    parser.add_argument("--composites", type=int, default=60)
    options = parser.parse_args()
    comparison = Comparison(options.model)
    results = Results("bench_agreement", model=options.model, served_by=comparison.served.name)
    print(f"{comparison.served.name}; {GOALS}")
    for folder in options.folders:
        comparison.report(folder.name, photographs(folder), results)
    composites = (hardened(index)[0] for index in range(options.composites))
    comparison.report("composites", composites, results)


def photographs(folder: Path) -> Iterator[Image.Image]:
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in SUFFIXES:
            with Image.open(path) as image:
                yield image.convert("RGB")


class Comparison:
    """The model as it is served, and onnxruntime in fp32."""

    def __init__(self, name: str) -> None:
        threads = count_cores()
        self.network = NATIVE[name].network
        self.served = load_native(name, threads=threads)
        self.exact = make_engine(name, ONNXRUNTIME, threads=threads)

    def report(self, case: str, images: Iterator[Image.Image], results: Results) -> None:
        rows = [self.compare(image) for image in images]
        if not rows:
            return
        errors, overlaps, left = zip(*rows, strict=True)
        figures = {
            "images": len(rows),
            "error": float(np.mean(errors)),
            "worst_error": max(errors),
            "overlap": float(np.mean(overlaps)),
            "worst_overlap": min(overlaps),
            "left_to_fp32": float(np.mean(left)),
        }
        print(
            f"{case}: {len(rows)} images, error {figures['error']:.5f} (worst {figures['worst_error']:.4f}), overlap "
            f"{figures['overlap']:.4f} (worst {figures['worst_overlap']:.3f}), {figures['left_to_fp32']:.0%} left to fp32",
            flush=True,
        )
        results.add(case, **figures)

    def compare(self, image: Image.Image) -> tuple[float, float, bool]:
        """Error and overlap of the served matte, and whether another engine than usual made it."""
        prediction = self.served.predict(image.copy())
        truth = as_matte(self.exact.run(normalised(shrunk(image, self.network), self.network)))
        served, exact = (np.asarray(matte, np.float32) / np.float32(255) for matte in (prediction.matte, truth))
        return *agreement(served, exact), prediction.model != self.served.name


if __name__ == "__main__":
    main()
