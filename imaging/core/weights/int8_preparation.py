"""Makes the INT8 version of a model and checks its quality."""

import os
from pathlib import Path

from imaging.core.weights import int8_gate
from imaging.core.weights.files import int8_path, int8_prefix, int8_refusal_path, serving_path, weights_path
from imaging.core.weights.quantisation import quantise
from imaging.core.weights.recipe import load_recipe


def build(name: str, target: Path) -> str | None:
    """Write the INT8 version of model `name`, which has a recipe and is ready to serve in fp32, to `target`.

    Returns None if it is good enough to serve, else why it is not.
    """
    # Takes 0.2 s, and `preparation` is often imported when there is nothing to make.
    from imaging.core.matting.engines import OnnxRuntimeEngine, OpenVinoEngine, openvino_installed

    quantise(serving_path(name), target, load_recipe(name))
    threads = os.cpu_count() or 1
    exact = OnnxRuntimeEngine(serving_path(name), threads=threads)
    fast = (OpenVinoEngine if openvino_installed() else OnnxRuntimeEngine)(target, threads=threads)
    return int8_gate.refusal(fast, exact)


def remove_stale(name: str) -> None:
    """Delete the files of earlier recipes of model `name`: they take 45 MB each and are quickly rebuilt."""
    current = {int8_path(name), int8_refusal_path(name)}
    for path in weights_path(name).parent.glob(f"{int8_prefix(name)}*"):
        if path not in current:
            path.unlink()
