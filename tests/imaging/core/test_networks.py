"""The networks of the registry besides u2net, as small ONNX files of the same shape: input, normalisation, last layer.

The real weights of isnet and BiRefNet cannot be fetched everywhere; what is computed around them is checked against rembg's
own formulas, written out here.
"""

import hashlib
from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from imaging.core.matting.confidence import confidence
from imaging.core.matting.matte import NetworkModel
from imaging.core.weights import serving
from imaging.core.weights.files import serving_path, weights_path
from imaging.core.weights.registry import MODELS, NATIVE
from tests.imaging.core.pictures import photo
from tests.imaging.core.weights import preparing
from tests.imaging.core.weights.preparing import FakeSource, prepare_model

home, use_sources = preparing.home, preparing.use_sources
SIDE = 32
NAMES = ("u2netp", "isnet-general-use", "birefnet-general", "birefnet-general-lite")


def small_network(is_logit: bool) -> bytes:
    """One convolution; a second output, as isnet has; without a sigmoid if `is_logit`."""
    weights = np.random.default_rng(3).normal(size=(1, 3, 3, 3)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["input", "w"], ["logits"], "conv", pads=[1] * 4),
        helper.make_node("Identity" if is_logit else "Sigmoid", ["logits"], ["matte"]),
        helper.make_node("Relu", ["logits"], ["side"]),
    ]
    value = helper.make_tensor_value_info
    outputs = [value(name, TensorProto.FLOAT, [1, 1, SIDE, SIDE]) for name in ("matte", "side")]
    inputs = [value("input", TensorProto.FLOAT, [1, 3, SIDE, SIDE])]
    graph = helper.make_graph(nodes, "small", inputs, outputs, initializer=[numpy_helper.from_array(weights, "w")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def expected(name, image):
    """rembg's `normalize` and `predict` of this model, on the small network."""
    row = NATIVE[name]
    samples = np.array(image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.LANCZOS)).astype(float)
    samples = samples / max(np.max(samples), 1e-6)
    batch = ((samples - row.network.mean) / row.network.std).transpose((2, 0, 1))
    weights = np.random.default_rng(3).normal(size=(1, 3, 3, 3)).astype(np.float32)[0]
    padded = np.pad(batch, ((0, 0), (1, 1), (1, 1)))
    logits = sum(
        (padded[:, row : row + SIDE, column : column + SIDE] * weights[:, row, column, None, None]).sum(0)
        for row in range(3)
        for column in range(3)
    )
    response = 1 / (1 + np.exp(-logits))
    stretched = (response - response.min()) / (response.max() - response.min())
    return (stretched * 255).astype(np.uint8)


@pytest.fixture(params=NAMES)
def served(request, monkeypatch, home, use_sources):
    """The model, fetched from a fake source, prepared and loaded: with a small network of its kind."""
    row = NATIVE[request.param]
    content = small_network(row.network.is_logit)
    kind = row.checksum.partition(":")[0]
    checksum = f"{kind}:{hashlib.new(kind, content).hexdigest()}"
    small = replace(row, size=len(content), checksum=checksum, network=replace(row.network, size=(SIDE, SIDE)), wheel="")
    monkeypatch.setitem(NATIVE, row.name, small)
    use_sources(FakeSource(content))
    prepare_model(row.name)
    return serving.load_native(row.name, runtime="onnxruntime", threads=1)


def test_gives_rembgs_matte(served):
    assert isinstance(served, NetworkModel)
    image = photo((90, 60))
    prediction = served.predict(image)
    name = prediction.model.partition("@")[0]
    assert np.abs(np.asarray(prediction.matte, int) - expected(name, image)).max() <= 1
    assert prediction.model.endswith("; engine=onnxruntime-fp32")
    assert 0 <= prediction.confidence <= 1


def test_what_is_served_has_one_output(served):
    path = serving_path(served.name.partition("@")[0])
    assert [output.name for output in onnx.load(path).graph.output] == ["matte"]
    assert weights_path(served.name.partition("@")[0]).exists()


def test_the_rows_are_rembgs():
    """Input size and normalisation, as in rembg's sessions."""
    assert NATIVE["isnet-general-use"].network.size == (1024, 1024)
    assert (NATIVE["isnet-general-use"].network.mean, NATIVE["isnet-general-use"].network.std) == ((0.5,) * 3, (1.0,) * 3)
    assert NATIVE["birefnet-general"].network.is_logit
    assert {row.name for row in MODELS.values() if not row.commercial} == {"bria-rmbg"}


class TestConfidence:
    def test_a_certain_subject(self):
        response = np.zeros((20, 20), np.float32)
        response[5:15, 5:15] = 1
        assert confidence(response) == 1

    def test_less_the_more_is_undecided(self):
        def of(undecided):
            response = np.zeros((20, 20), np.float32)
            response[:10], response[:undecided] = 1, 0.5
            return confidence(response)

        assert 1 == of(0) > of(3) > of(9) > of(10) == 0

    def test_certain_background_does_not_count(self):
        small, large = np.full((10, 10), 0.8, np.float32), np.zeros((40, 40), np.float32)
        large[:10, :10] = small
        assert confidence(small) == pytest.approx(confidence(large))

    @pytest.mark.parametrize("value", [0.0, 0.04, np.nan])
    def test_no_subject_is_no_confidence(self, value):
        assert confidence(np.full((9, 9), value, np.float32)) == 0
