"""How sure a network is of its matte."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

# Below this probability a pixel is background beyond doubt.
_BACKGROUND = 0.05


def confidence(response: Floats) -> float:
    """0-1, from a network's response (height, width), probabilities of subject before any stretching.

    The mean of |2 p - 1| over all pixels that are not background beyond doubt (p > 0.05), weighted by p: 1 where the subject
    is certain up to a sharp edge, less the more of it is undecided, 0 where there is none. Figures: docs/benchmarks.md.
    """
    weights = np.where(response > _BACKGROUND, response, 0)
    total = float(weights.sum())
    if not total > 0:  # written so that NaN is 0
        return 0.0
    return float((weights * np.abs(2 * response - 1)).sum() / total)
