"""One copy of a model's weights for all engines: onnxruntime's file refers to those of MNN.

MNN's files hold the weights of convolutions as the ONNX file does, byte for byte: 176 MB of u2net. ONNX lets a tensor lie in
another file of the same folder, from some byte on (TensorProto's `external_data`); onnxruntime and OpenVINO read it there.
"""

from pathlib import Path

import onnx

# A shorter tensor may stay in the ONNX file: its reference is nearly as long.
_MIN_BYTES = 128


def share_weights(source: Path, folder: Path, target: Path) -> None:
    """Write to `target` the ONNX file `source`, whose weights that files in MNN's `folder` hold as well become references.

    `target` can be loaded once it is in `folder`. A tensor that no file there holds stays in `target`.
    """
    model = onnx.load(source)
    held = {path.name: path.read_bytes() for path in sorted(folder.glob("*.weight"))}
    for tensor in model.graph.initializer:
        if len(tensor.raw_data) >= _MIN_BYTES:
            _refer(tensor, held)
    target.write_bytes(model.SerializeToString())


def _refer(tensor: onnx.TensorProto, held: dict[str, bytes]) -> None:
    for name, content in held.items():
        offset = content.find(tensor.raw_data)
        if offset >= 0:
            place = {"location": name, "offset": offset, "length": len(tensor.raw_data)}
            for key, value in place.items():
                tensor.external_data.add(key=key, value=str(value))
            tensor.ClearField("raw_data")
            tensor.data_location = onnx.TensorProto.EXTERNAL
            return
