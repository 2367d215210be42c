"""Whether an engine's mattes are as good as onnxruntime's in fp32, judged on the machine that will serve them."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from imaging.core.matting.matte import stretched

Floats = npt.NDArray[np.float32]

# Mean absolute error of the matte, where 1 is from black to white, and mean intersection over union of the subjects.
MAX_ERROR = 0.004
MIN_OVERLAP = 0.97

# Public-domain photographs from scikit-image that no recipe was calibrated on.
PHOTOGRAPHS = Path(__file__).with_name("recipes") / "gate"


def refusal(responses: Floats, truths: Floats) -> str:
    """Why the engine with `responses` (n, height, width) must not serve in place of the one with `truths`; "" if it may."""
    figures = [agreement(*(stretched(one) for one in pair)) for pair in zip(responses, truths, strict=True)]
    error, overlap = np.mean(figures, axis=0)
    # Written so that NaN is refused.
    if error <= MAX_ERROR and overlap >= MIN_OVERLAP:
        return ""
    return f"error {error:.4f} (at most {MAX_ERROR}), overlap {overlap:.4f} (at least {MIN_OVERLAP})"


def agreement(matte: Floats, truth: Floats) -> tuple[float, float]:
    """Mean absolute error, and intersection over union of both cut at 0.5; the latter is 1 for two empty subjects."""
    union = ((matte >= 0.5) | (truth >= 0.5)).sum()
    shared = ((matte >= 0.5) & (truth >= 0.5)).sum()
    return float(np.abs(matte - truth).mean()), float(shared / union) if union else 1.0


def photographs() -> Iterator[Image.Image]:
    """The photographs, as RGB, in the order of their names."""
    for path in sorted(PHOTOGRAPHS.glob("*.jpg")):
        with Image.open(path) as image:
            yield image.convert("RGB")
