"""Finds an INT8 recipe of u2net and measures it, by the method that made imaging/core/weights/recipes/u2net-int8.json.
Not needed to serve.

    PYTHONPATH=. python scripts/calibrate_int8.py --calibrate FOLDER --hold-back FOLDER [--output FILE]

Both folders hold photographs; no image, nor a crop of one, may be in both. Ours came from scikit-image, scikit-learn and
the Debian packages gcompris-qt-data, opencv-doc, tuxpaint-data, tuxpaint-stamps-default (cut-outs, pasted on photographs),
gnome-backgrounds, mate-backgrounds, ukui-wallpapers, lomiri-wallpapers and plasma-workspace-wallpapers, all of them free.

1. Of every activation that feeds a convolution, the range is the one with the least squared error of rounding to 8 bits.
2. Every quantised convolution is run next to its original on the original's input; the mean difference of a channel over all
   images corrects that channel's bias.
"""

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper
from PIL import Image

from imaging.core.matting.matte import normalised, shrunk, stretched
from imaging.core.weights.files import serving_path
from imaging.core.weights.fixed_graph import with_fixed_shapes
from imaging.core.weights.gate import agreement
from imaging.core.weights.quantisation import Quantiser, quantise, quantised_nodes
from imaging.core.weights.recipe import Floats, Recipe, recipe_path, write_recipe
from imaging.core.weights.registry import NATIVE

# The first convolution reads the image, which has negative values; the last seven make one channel each: little work.
FLOAT_NODES = frozenset({"Conv_0", "Conv_945", "Conv_946", "Conv_966", "Conv_986", "Conv_1006", "Conv_1026", "Conv_1047"})
# Below it the model itself sees no clear subject, and stretching magnifies every rounding error.
TRUSTED_PEAK = 0.8
SAMPLES_PER_TENSOR = 6000
# A mean needs fewer images than a range.
CORRECT_EVERY = 4
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calibrate", type=Path, required=True)
    parser.add_argument("--hold-back", type=Path, required=True)
    parser.add_argument("--output", type=Path, default=recipe_path("u2net"))
    arguments = parser.parse_args()
    source = serving_path("u2net")
    ranges = find_ranges(source, arguments.calibrate)
    recipe = Recipe(NATIVE["u2net"].checksum.removeprefix("sha256:"), ranges, FLOAT_NODES, {}, TRUSTED_PEAK)
    corrections = find_corrections(source, arguments.calibrate, recipe)
    recipe = Recipe(recipe.weights_sha256, ranges, FLOAT_NODES, corrections, TRUSTED_PEAK)
    write_recipe(arguments.output, recipe, measure(source, recipe, arguments.hold_back))


def images(folder: Path, every: int = 1) -> Iterator[Floats]:
    """The model's inputs, (1, 3, 320, 320), for one in `every` of the images in `folder`, in the order of their names."""
    paths = [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in SUFFIXES]
    for path in paths[::every]:
        with Image.open(path) as image:
            yield normalised(shrunk(image.convert("RGB")))


def find_ranges(source: Path, folder: Path) -> dict[str, float]:
    """By tensor, the upper end of the range with the least squared error."""
    model = with_fixed_shapes(onnx.load(source))
    tensors = sorted({node.input[0] for node in model.graph.node if node.op_type == "Conv" and node.name not in FLOAT_NODES})
    random = np.random.default_rng(0)
    samples: dict[str, list[Floats]] = {tensor: [] for tensor in tensors}
    peaks = dict.fromkeys(tensors, 0.0)
    for values in outputs_for(model, tensors, folder):
        for tensor, value in values.items():
            flat = value.ravel()
            samples[tensor].append(flat[random.integers(0, flat.size, SAMPLES_PER_TENSOR)])
            peaks[tensor] = max(peaks[tensor], float(flat.max()))
    return {tensor: best_range(np.concatenate(samples[tensor]), peaks[tensor]) for tensor in tensors}


def best_range(samples: Floats, peak: float) -> float:
    """The end, of 35 between 15 % and all of `peak`, with the least squared error of rounding and clipping."""

    def cost(end: float) -> float:
        step = end / 255
        return float(np.square(np.rint(samples / step).clip(0, 255) * step - samples).mean())

    return float(f"{min(peak * np.linspace(0.15, 1, 35), key=cost):.5g}")


def find_corrections(source: Path, folder: Path, recipe: Recipe) -> dict[str, Floats]:
    """By node, what rounding takes from each channel's mean over all images, given the input of the fp32 model."""
    model = with_fixed_shapes(onnx.load(source))
    graph = model.graph
    quantiser, means = Quantiser(graph, recipe), {}
    for node in quantised_nodes(graph, recipe):
        twin = onnx.NodeProto()
        twin.CopyFrom(node)
        twin.name, twin.output[0] = f"{node.name}_int8", f"{node.output[0]}_int8"
        graph.node.extend([*quantiser.quantise(twin), twin])
        names = node.output[0], twin.output[0]
        graph.node.extend(helper.make_node("ReduceMean", [n], [f"{n}_mean"], axes=[0, 2, 3], keepdims=0) for n in names)
        means[node.name] = tuple(f"{name}_mean" for name in names)
    tensors = [name for pair in means.values() for name in pair]
    runs = list(outputs_for(model, tensors, folder, every=CORRECT_EVERY))
    average = {name: np.stack([run[name] for run in runs]).mean(axis=0) for name in tensors}
    return {node: average[exact] - average[rounded] for node, (exact, rounded) in means.items()}


def outputs_for(model: onnx.ModelProto, tensors: list[str], folder: Path, every: int = 1) -> Iterator[dict[str, Floats]]:
    """The values of `tensors` inside `model` for each image."""
    taps = [name for name in tensors if name not in {output.name for output in model.graph.output}]
    model.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in taps)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    with tempfile.NamedTemporaryFile(suffix=".onnx") as file:
        onnx.save(model, file.name)
        session = ort.InferenceSession(file.name, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    for image in images(folder, every):
        yield dict(zip(tensors, session.run(tensors, {name: image}), strict=True))


def measure(source: Path, recipe: Recipe, folder: Path) -> dict[str, float]:
    """How close the scheme, fallback included, gets to fp32 on images that it has never seen."""
    with tempfile.NamedTemporaryFile(suffix=".onnx") as file:
        quantise(source, Path(file.name), recipe)
        exact, fast = (ort.InferenceSession(str(path), providers=["CPUExecutionProvider"]) for path in (source, file.name))
    name = exact.get_inputs()[0].name
    figures, fallbacks = [], 0
    for image in images(folder):
        truth, response = (session.run(None, {name: image})[0][0, 0] for session in (exact, fast))
        if response.max() < recipe.trusted_peak:
            fallbacks += 1
            response = truth
        figures.append(agreement(stretched(response), stretched(truth)))
    mae, iou = np.mean(figures, axis=0)
    share = fallbacks / len(figures)
    return {"pictures": len(figures), "mae": round(mae, 5), "iou": round(iou, 4), "fallbacks": round(share, 3)}


if __name__ == "__main__":
    main()
