"""Converts an ONNX file to MNN's format, cut where memory and speed ask for different convolutions.

MNN's fastest Winograd convolutions keep up to seven times the weights. In u2net 37 of 44 million weights belong to layers of
40 x 40 and smaller, which take a third of the time and gain nothing from it (0.33 s against 0.32 with one thread, but 760 MB
against 400); the layers around them gain a third (0.69 against 1.04 s). So the graph is cut into three, and only the outer
two use them.
"""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import helper

from imaging.core.matting.mnn_manifest import write_manifest
from imaging.core.weights.fixed_graph import with_fixed_shapes

# Convolutions with more weights than this belong to the part that saves memory.
HEAVY_WEIGHTS = 1_000_000
# MNN's WINOGRAD_MEMORY_LEVEL: small transforms; all.
_SMALL, _ALL = 1, 3
# MNN.tools.mnnconvert would also import a module that reports each conversion to a server of its vendor, and installs a
# package for that. The converter below it does not.
_CONVERT = "import sys, _tools; _tools.mnnconvert(sys.argv)"
_TIMEOUT_SECONDS = 600


class ConversionFailed(Exception):
    """MNN's converter did not deliver. The text is a short reason without a full stop."""


def convert(source: Path, folder: Path) -> None:
    """Write MNN's version of the ONNX file `source` (one input, one output) into the empty `folder`: files and a manifest.

    Raises ConversionFailed, and OSError for the disk's faults.
    """
    parts = []
    for number, (graph, level) in enumerate(cut(onnx.load(source))):
        inputs, outputs = ([value.name for value in values] for values in (graph.graph.input, graph.graph.output))
        onnx.save(graph, folder / "part.onnx")
        _convert_part(folder / "part.onnx", folder / f"{number}.mnn")
        parts.append({"file": f"{number}.mnn", "inputs": inputs, "outputs": outputs, "winograd": level})
    (folder / "part.onnx").unlink()
    write_manifest(folder, parts)


def _convert_part(source: Path, target: Path) -> None:
    # In a process of its own: the converter prints, and may crash on an operator that it does not know. External weights are
    # freed once they are transformed; those inside the file stay in memory.
    arguments = ["-f", "ONNX", "--modelFile", str(source), "--MNNModel", str(target), "--bizCode", "x"]
    command = [sys.executable, "-c", _CONVERT, *arguments, "--saveExternalData", "1"]
    try:
        done = subprocess.run(  # noqa: S603  a fixed command, no shell
            command, capture_output=True, text=True, timeout=_TIMEOUT_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise ConversionFailed("MNN's converter did not end") from error
    if done.returncode or not target.is_file() or "Converted Success" not in done.stdout + done.stderr:
        lines = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        raise ConversionFailed(f"MNN's converter: {lines[-1] if lines else f'exit status {done.returncode}'}")


# --- The cut -------------------------------------------------------------------------------------


def cut(model: onnx.ModelProto) -> list[tuple[onnx.ModelProto, int]]:
    """`model` in parts that run one after another, each with its Winograd memory level."""
    heavy = _heavy(model.graph)
    if not heavy:
        return [(model, _ALL)]
    try:
        fixed = onnx.shape_inference.infer_shapes(with_fixed_shapes(model), strict_mode=True)
    except (ValueError, KeyError, IndexError, onnx.shape_inference.InferenceError):
        # Not built like u2net: sizes at the cuts are unknown.
        return [(model, _SMALL)]
    nodes = list(fixed.graph.node)
    heavy = _heavy(fixed.graph)
    ranges = [nodes[: heavy[0]], nodes[heavy[0] : heavy[-1] + 1], nodes[heavy[-1] + 1 :]]
    levels = (_ALL, _SMALL, _ALL)
    return [(_part(fixed, ranges, number), level) for number, level in enumerate(levels) if ranges[number]]


def _heavy(graph: onnx.GraphProto) -> list[int]:
    """Positions of the convolutions with many weights."""
    sizes = {tensor.name: int(np.prod(tensor.dims)) for tensor in graph.initializer}
    nodes = enumerate(graph.node)
    return [number for number, node in nodes if node.op_type == "Conv" and sizes.get(node.input[1], 0) > HEAVY_WEIGHTS]


def _part(model: onnx.ModelProto, ranges: Sequence[Sequence[onnx.NodeProto]], number: int) -> onnx.ModelProto:
    graph, nodes = model.graph, ranges[number]
    weights = {tensor.name for tensor in graph.initializer}
    made = {name for node in nodes for name in node.output}
    read = {name for node in nodes for name in node.input if name}
    read_later = {name for later in ranges[number + 1 :] for node in later for name in node.input}
    values = {value.name: value for value in (*graph.value_info, *graph.input, *graph.output)}
    inputs = [values[name] for name in sorted(read - weights - made)]
    outputs = [values[name] for name in sorted(made & (read_later | {output.name for output in graph.output}))]
    initializers = [tensor for tensor in graph.initializer if tensor.name in read]
    part = helper.make_graph(nodes, f"{graph.name}-{number}", inputs, outputs, initializer=initializers)
    return helper.make_model(part, opset_imports=model.opset_import, ir_version=model.ir_version)
