"""The result of calibrating a model's quantisation, as a small file that ships with the code."""

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

RECIPES = Path(__file__).with_name("recipes")


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to quantise the weights whose SHA-256 is `weights_sha256`.

    `ranges` gives, by tensor, the upper end of each activation that feeds a quantised convolution. `float_nodes` are the
    convolutions that stay in fp32. `corrections` are added to the biases of the others, by node and output channel: on
    average over images rounding shifts a channel's response, and this shifts it back (Nagel et al. 2019, "Data-Free
    Quantization Through Weight Equalization and Bias Correction", section 4.2). A response whose brightest pixel is below
    `trusted_peak`, a probability, is not reliable.
    """

    weights_sha256: str
    ranges: Mapping[str, float]
    float_nodes: frozenset[str]
    corrections: Mapping[str, Floats]
    trusted_peak: float


def recipe_path(name: str) -> Path:
    """The path of the recipe of model `name`, if it has one."""
    return RECIPES / f"{name}-int8.json"


def recipe_digest(name: str) -> str:
    """Twelve hexadecimal digits that change with the recipe of model `name`."""
    return hashlib.sha256(recipe_path(name).read_bytes()).hexdigest()[:12]


def load_recipe(name: str) -> Recipe:
    """The recipe of model `name`. Raises FileNotFoundError if it has none."""
    content = json.loads(recipe_path(name).read_text())
    return Recipe(
        weights_sha256=content["weights_sha256"],
        ranges=content["ranges"],
        float_nodes=frozenset(content["float_nodes"]),
        corrections={node: unpacked(packed) for node, packed in content["corrections"].items()},
        trusted_peak=content["trusted_peak"],
    )


def write_recipe(path: Path, recipe: Recipe, measured: Mapping[str, Any]) -> None:
    """Write `recipe` to `path`, along with figures for human readers only."""
    content = {
        "weights_sha256": recipe.weights_sha256,
        "trusted_peak": recipe.trusted_peak,
        "measured": dict(measured),
        "float_nodes": sorted(recipe.float_nodes),
        "ranges": dict(recipe.ranges),
        "corrections": {node: packed(values) for node, values in recipe.corrections.items()},
    }
    path.write_text(json.dumps(content, indent=1) + "\n")


def packed(values: Floats) -> list[Any]:
    """`values` as a step and, in base64, the number of steps as one signed byte each."""
    step = float(f"{max(float(np.abs(values).max()), 1e-12) / 127:.4g}")
    steps = np.rint(values / step).clip(-127, 127).astype(np.int8)
    return [step, base64.b64encode(steps.tobytes()).decode()]


def unpacked(pair: list[Any]) -> Floats:
    """The inverse of `packed`, to within half a step."""
    step, steps = pair
    return np.frombuffer(base64.b64decode(steps), np.int8).astype(np.float32) * np.float32(step)
