"""An ONNX graph for one image size: every size that it would compute on each run is folded to a constant."""

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import helper, numpy_helper

# The first opset with a scale per channel in QuantizeLinear. None of the operators left after folding changed between
# u2net's opset 11 and 13.
OPSET = 13
_IR_VERSION = 8


def with_fixed_shapes(model: onnx.ModelProto) -> onnx.ModelProto:
    """`model` at opset 13 for inputs of exactly the size that it declares, with every computed size folded to a constant."""
    graph = model.graph
    producers = {output: node for node in graph.node for output in node.output}
    (image_input,) = (value for value in graph.input if value.name not in {tensor.name for tensor in graph.initializer})
    shapes = {image_input.name: [dimension.dim_value for dimension in image_input.type.tensor_type.shape.dim]}
    channels = {tensor.name: tensor.dims[0] for tensor in graph.initializer if tensor.dims}
    for node in graph.node:
        if node.op_type == "Resize":
            like = _reference(node, producers)
            shape = [*shapes[node.input[0]][:2], *shapes[like][2:]]
            graph.initializer.append(numpy_helper.from_array(np.array(shape, np.int64), f"{node.output[0]}_sizes"))
            node.input[:] = [node.input[0], "", "", f"{node.output[0]}_sizes"]
            shapes[node.output[0]] = shape
        elif node.input and node.input[0] in shapes and node.op_type != "Shape":
            shapes[node.output[0]] = _shape(node, shapes, channels)
    drop_unread(graph)
    del model.opset_import[:], graph.value_info[:]
    model.opset_import.append(helper.make_opsetid("", OPSET))
    model.ir_version = _IR_VERSION
    return model


def _reference(resize: onnx.NodeProto, producers: Mapping[str, onnx.NodeProto]) -> str:
    """The tensor to whose size `resize` scales its input: the other one whose shape its `sizes` reads."""
    asked, waiting = set(), [resize.input[3]]
    while waiting:
        node = producers[waiting.pop()]
        if node.op_type == "Shape":
            asked.add(node.input[0])
        else:
            waiting += node.input
    asked.discard(resize.input[0])
    (reference,) = asked
    return str(reference)


def _shape(node: onnx.NodeProto, shapes: Mapping[str, list[int]], channels: Mapping[str, int]) -> list[int]:
    """The shape of the output of `node`, one of the few operators in use. Convolutions keep the size here."""
    batch, depth, height, width = shapes[node.input[0]]
    if node.op_type == "Conv":
        return [batch, channels[node.input[1]], height, width]
    if node.op_type == "Concat":
        return [batch, sum(shapes[name][1] for name in node.input), height, width]
    if node.op_type == "MaxPool":
        attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
        halves = -1 if attributes.get("ceil_mode", 0) else 1
        return [batch, depth, halves * (halves * height // 2), halves * (halves * width // 2)]
    return [batch, depth, height, width]


def drop_unread(graph: onnx.GraphProto) -> None:
    """Remove the nodes and weights of `graph` that no output depends on. Its nodes are in topological order."""
    read = {output.name for output in graph.output}
    nodes = []
    for node in reversed(graph.node):
        if read.intersection(node.output):
            nodes.append(node)
            read.update(node.input)
    weights = [tensor for tensor in graph.initializer if tensor.name in read]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(reversed(nodes))
    graph.initializer.extend(weights)
