"""Whether an INT8 model is as good as the fp32 one it was made from, judged on the machine that will serve it."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from imaging.core.matting.engines import Engine
from imaging.core.matting.matte import normalised, shrunk, stretched

# Mean absolute error of the matte, where 1 is from black to white, and mean intersection over union of the subjects.
MAX_ERROR = 0.004
MIN_OVERLAP = 0.97

# Public-domain photographs from scikit-image that no recipe was calibrated on.
PHOTOGRAPHS = Path(__file__).with_name("recipes") / "gate"


def refusal(fast: Engine, exact: Engine) -> str | None:
    """Why `fast` must not serve in place of `exact`, in one line; None if it may."""
    figures = [agreement(*(stretched(engine.run(batch)) for engine in (fast, exact))) for batch in _batches()]
    error, overlap = np.mean(figures, axis=0)
    # Written so that NaN is refused.
    if error <= MAX_ERROR and overlap >= MIN_OVERLAP:
        return None
    return f"error {error:.4f} (at most {MAX_ERROR}), overlap {overlap:.4f} (at least {MIN_OVERLAP})"


def agreement(matte: npt.NDArray[np.float32], truth: npt.NDArray[np.float32]) -> tuple[float, float]:
    """Mean absolute error, and intersection over union of both cut at 0.5; the latter is 1 for two empty subjects."""
    union = ((matte >= 0.5) | (truth >= 0.5)).sum()
    shared = ((matte >= 0.5) & (truth >= 0.5)).sum()
    return float(np.abs(matte - truth).mean()), float(shared / union) if union else 1.0


def _batches() -> Iterator[npt.NDArray[np.float32]]:
    for path in sorted(PHOTOGRAPHS.glob("*.jpg")):
        with Image.open(path) as image:
            yield normalised(shrunk(image.convert("RGB")))
