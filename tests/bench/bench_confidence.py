"""Whether X-Confidence ranks bad mattes below good ones, on images whose matte is known.

    PYTHONPATH=. python tests/bench/bench_confidence.py [--images 60] [--precision fp32]

Composites: the scenes of bench_edges, with the subject faded into the background and blurred by random amounts, which makes
some of them hard. Prints Spearman's rank correlation of the confidence with the matte's mean absolute error (negated) and
with its intersection over union, and the mean error of the least and of the most sure quarter.
"""

import argparse

import numpy as np
from PIL import Image, ImageFilter

from imaging.core.weights.gate import agreement
from imaging.core.weights.serving import PRECISIONS, load_native
from tests.bench.bench_edges import scene
from tests.bench.results import Results

SIDE = 640


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=60)
    parser.add_argument("--model", default="u2net")
    parser.add_argument("--precision", choices=PRECISIONS, default="auto")
    options = parser.parse_args()
    model = load_native(options.model, precision=options.precision, threads=2)
    confidences, errors, overlaps = [], [], []
    for index in range(options.images):
        image, truth = hardened(index)
        prediction = model.predict(image)
        matte = np.asarray(prediction.matte.resize(truth.size), np.float32) / np.float32(255)
        error, overlap = agreement(matte, np.asarray(truth, np.float32) / np.float32(255))
        confidences.append(prediction.confidence)
        errors.append(error)
        overlaps.append(overlap)
    by_error = rank_correlation(confidences, [-error for error in errors])
    by_overlap = rank_correlation(confidences, overlaps)
    quarter = max(1, len(errors) // 4)
    order = np.argsort(confidences)
    low, high = (float(np.mean(np.array(errors)[some])) for some in (order[:quarter], order[-quarter:]))
    print(model.name)
    print(f"{len(errors)} images: rank correlation with the error {by_error:.2f}, with the overlap {by_overlap:.2f}")
    print(f"mean error of the least sure quarter {low:.3f}, of the most sure {high:.3f}")
    results = Results(f"bench_confidence-{options.precision}", model=options.model, served_by=model.name, images=len(errors))
    results.add("rank correlation", error=by_error, overlap=by_overlap)
    results.add("mean error", least_sure_quarter=low, most_sure_quarter=high)


def hardened(index: int) -> tuple[Image.Image, Image.Image]:
    """An image and its matte; the higher a random number, the fainter the subject."""
    rng = np.random.default_rng(1000 + index)
    _, picture, truth = scene(index, SIDE)
    backdrop = picture.filter(ImageFilter.GaussianBlur(SIDE / 6))
    faded = Image.blend(picture, backdrop, float(rng.uniform(0, 0.85)))
    return faded.filter(ImageFilter.GaussianBlur(float(rng.uniform(0, 4)))), truth


def rank_correlation(first: list[float], second: list[float]) -> float:
    """Spearman's: the correlation of ranks."""
    one, other = (np.argsort(np.argsort(values)) for values in (first, second))
    return float(np.corrcoef(one, other)[0, 1])


if __name__ == "__main__":
    main()
