"""From fp32 weights and a small recipe to an INT8 ONNX graph: seconds, no calibration, the same bytes every time.

The recipe holds the results of a calibration, see `imaging.core.weights.recipe`; `scripts/calibrate_int8.py` made it. Terms
and arithmetic are those of ONNX's QuantizeLinear.
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from imaging.core.weights.fixed_graph import drop_unread, with_fixed_shapes
from imaging.core.weights.recipe import Floats, Recipe

_ACTIVATION_STEPS = 255
_WEIGHT_STEPS = 127


def quantise(source: Path, target: Path, recipe: Recipe) -> None:
    """Write the INT8 version of the ONNX file `source` (fp32, one input, one output) to `target`, and check it.

    Every convolution is quantised, except the recipe's `float_nodes`: its weights symmetrically and per output channel, its
    input per tensor from 0 on, since every input is the output of a ReLU. Raises KeyError for a tensor without a range.
    """
    model = with_fixed_shapes(onnx.load(source))
    quantise_graph(model.graph, recipe)
    onnx.checker.check_model(model)
    onnx.save(model, target)


def quantise_graph(graph: onnx.GraphProto, recipe: Recipe) -> None:
    """Like `quantise`, in place, for a graph in memory."""
    quantiser = Quantiser(graph, recipe)
    before = {node.name: quantiser.quantise(node) for node in quantised_nodes(graph, recipe)}
    nodes = list(graph.node)
    del graph.node[:]
    for node in nodes:
        graph.node.extend([*before.get(node.name, ()), node])
    drop_unread(graph)


def quantised_nodes(graph: onnx.GraphProto, recipe: Recipe) -> list[onnx.NodeProto]:
    """The convolutions of `graph` that `recipe` quantises."""
    return [node for node in graph.node if node.op_type == "Conv" and node.name not in recipe.float_nodes]


class Quantiser:
    """Puts QuantizeLinear and DequantizeLinear (QDQ) around the operands of convolutions."""

    def __init__(self, graph: onnx.GraphProto, recipe: Recipe) -> None:
        self._graph = graph
        self._recipe = recipe
        self._weights = {tensor.name: tensor for tensor in graph.initializer}
        self._scales: dict[str, np.float32] = {}

    def quantise(self, conv: onnx.NodeProto) -> list[onnx.NodeProto]:
        """Make `conv` read quantised operands; return the nodes to insert before it."""
        activation, weight, bias = conv.input
        before = [] if activation in self._scales else self._activation_pair(activation)
        before += self._constants(conv.name, weight, bias, self._scales[activation])
        conv.input[:] = [f"{activation}_dq", f"{weight}_dq", f"{bias}_dq"]
        return before

    def _activation_pair(self, name: str) -> list[onnx.NodeProto]:
        scale = self._scales[name] = np.float32(self._recipe.ranges[name] / _ACTIVATION_STEPS)
        operands = [self._add(f"{name}_scale", scale), self._add(f"{name}_zero", np.uint8(0))]
        return [
            helper.make_node("QuantizeLinear", [name, *operands], [f"{name}_q"], name=f"Quantize_{name}"),
            helper.make_node("DequantizeLinear", [f"{name}_q", *operands], [f"{name}_dq"], name=f"Dequantize_{name}"),
        ]

    def _constants(self, conv: str, weight: str, bias: str, activation_scale: np.float32) -> list[onnx.NodeProto]:
        values = numpy_helper.to_array(self._weights[weight])
        scales = channel_scales(values)
        steps = np.rint(values / scales[:, None, None, None]).astype(np.int8)
        # A convolution adds its bias to sums of products, whose step is the product of the steps.
        bias_scales = scales * activation_scale
        corrected = numpy_helper.to_array(self._weights[bias]) + self._recipe.corrections.get(conv, np.float32(0))
        bound = 2**31 - 1
        bias_steps = np.rint(corrected.astype(float) / bias_scales).clip(-bound, bound).astype(np.int32)
        return [self._dequantize(weight, steps, scales), self._dequantize(bias, bias_steps, bias_scales)]

    def _dequantize(self, name: str, steps: npt.NDArray[Any], scales: Floats) -> onnx.NodeProto:
        zeros = np.zeros(len(scales), steps.dtype)
        inputs = [self._add(f"{name}_q", steps), self._add(f"{name}_scale", scales), self._add(f"{name}_zero", zeros)]
        return helper.make_node("DequantizeLinear", inputs, [f"{name}_dq"], name=f"Dequantize_{name}", axis=0)

    def _add(self, name: str, value: Any) -> str:
        self._graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
        return name


def channel_scales(weights: Floats) -> Floats:
    """The step of each output channel of `weights` (out, in, height, width), so that its largest weight is 127 steps."""
    largest = np.abs(weights).reshape(len(weights), -1).max(axis=1)
    scales: Floats = (np.maximum(largest, 1e-12) / _WEIGHT_STEPS).astype(np.float32)
    return scales
