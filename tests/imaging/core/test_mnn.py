"""MNN: small networks cut, converted and run, against onnxruntime; damage and many threads at once."""

import threading

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from imaging.core.weights import mnn_conversion
from imaging.core.weights.engines import ONNXRUNTIME, OPENVINO, is_installed
from imaging.core.weights.mnn_conversion import ConversionFailed, convert, cut
from imaging.core.weights.sharing import share_weights

pytestmark = [
    pytest.mark.skipif(not is_installed("mnn"), reason="MNN is not installed (requirements-fast.txt)"),
    pytest.mark.filterwarnings("ignore"),  # we are not responsible for its imports
    pytest.mark.xdist_group("mnn"),
]
SIDE = 16


def network(stride=1):
    """Shaped like u2net: light convolutions around a heavy one, with a skip past it. `stride` as isnet's first layer has."""
    rng = np.random.default_rng(5)
    shapes = {"first": (4, 3, 3, 3), "heavy": (8, 4, 3, 3), "last": (1, 12, 3, 3)}
    weights = [
        numpy_helper.from_array(rng.normal(size=shape).astype(np.float32) / 3, name) for name, shape in shapes.items()
    ]
    sides = SIDE // stride
    nodes = [
        helper.make_node("Conv", ["picture", "first"], ["a"], "first", pads=[1] * 4, strides=[stride] * 2),
        helper.make_node("Relu", ["a"], ["skip"], "relu"),
        helper.make_node("Conv", ["skip", "heavy"], ["b"], "heavy", pads=[1] * 4),
        helper.make_node("Concat", ["skip", "b"], ["c"], "concat", axis=1),
        helper.make_node("Conv", ["c", "last"], ["d"], "last", pads=[1] * 4),
        helper.make_node("Sigmoid", ["d"], ["matte"], "sigmoid"),
    ]
    inputs = [helper.make_tensor_value_info("picture", TensorProto.FLOAT, [1, 3, SIDE, SIDE])]
    outputs = [helper.make_tensor_value_info("matte", TensorProto.FLOAT, [1, 1, sides, sides])]
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, initializer=weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6)


@pytest.fixture(autouse=True)
def heavy(monkeypatch):
    monkeypatch.setattr(mnn_conversion, "HEAVY_WEIGHTS", 200)


def converted(tmp_path, model):
    folder = tmp_path / "mnn"
    folder.mkdir()
    onnx.save(model, tmp_path / "model.onnx")
    convert(tmp_path / "model.onnx", folder)
    return folder


def truth(tmp_path, batch):
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    return session.run(None, {"picture": batch})[0][0, 0]


def pictures(count=1):
    return list(np.random.default_rng(6).normal(size=(count, 1, 3, SIDE, SIDE)).astype(np.float32))


def engine(folder, **options):
    from imaging.core.matting.mnn import MnnEngine

    return MnnEngine(folder, threads=1, **options)


def test_the_heavy_layers_are_cut_out_and_save_memory():
    parts = cut(network())
    assert [[node.name for node in part.graph.node] for part, _ in parts] == [
        ["first", "relu"],
        ["heavy"],
        ["concat", "last", "sigmoid"],
    ]
    assert [level for _, level in parts] == [3, 1, 3]
    assert [value.name for value in parts[2][0].graph.input] == ["b", "skip"]


def test_a_light_network_is_not_cut(monkeypatch):
    monkeypatch.setattr(mnn_conversion, "HEAVY_WEIGHTS", 10_000)
    assert [level for _, level in cut(network())] == [3]


@pytest.mark.parametrize("limit", [200, 10_000])
def test_gives_what_onnxruntime_gives(tmp_path, monkeypatch, limit):
    monkeypatch.setattr(mnn_conversion, "HEAVY_WEIGHTS", limit)
    made = engine(converted(tmp_path, network()))
    for batch in pictures(3):
        np.testing.assert_allclose(made.run(batch), truth(tmp_path, batch), atol=1e-4)


def test_nothing_but_finished_files_is_left(tmp_path):
    folder = converted(tmp_path, network())
    assert {path.suffix for path in folder.iterdir()} == {".mnn", ".weight", ".json"}


def test_a_response_stays_when_the_next_image_runs(tmp_path):
    made = engine(converted(tmp_path, network()))
    first, second = pictures(2)
    kept = made.run(first)
    made.run(second)
    np.testing.assert_allclose(kept, truth(tmp_path, first), atol=1e-4)


@pytest.mark.parametrize("sessions", [1, 2])
def test_many_threads_share_the_sessions(tmp_path, sessions):
    made = engine(converted(tmp_path, network()), sessions=sessions)
    batches, found = pictures(8), {}
    threads = [
        threading.Thread(target=lambda n=n, batch=batch: found.update({n: made.run(batch)}))
        for n, batch in enumerate(batches)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, batch in enumerate(batches):
        np.testing.assert_allclose(found[number], truth(tmp_path, batch), atol=1e-4)
    assert made._idle.qsize() <= sessions


@pytest.mark.parametrize("name", ["0.mnn", "1.mnn.weight", "manifest.json"])
@pytest.mark.parametrize("damage", [lambda data: data[:-2], lambda data: b"", None])
def test_a_damaged_file_is_reported(tmp_path, name, damage):
    folder = converted(tmp_path, network())
    if damage is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(damage((folder / name).read_bytes()))
    with pytest.raises(ValueError, match="is damaged"):
        engine(folder)


def test_what_the_converter_does_not_know_is_reported(tmp_path):
    model = network()
    model.graph.node[-1].op_type = "NoSuchOperator"
    with pytest.raises(ConversionFailed, match="MNN's converter"):
        converted(tmp_path, model)


def test_importing_it_prints_nothing(tmp_path, capfd):
    engine(converted(tmp_path, network()))
    assert capfd.readouterr().out == ""


class TestSharedWeights:
    """onnxruntime and OpenVINO read the weights in the files that MNN's converter wrote."""

    @pytest.fixture
    def shared(self, tmp_path):
        folder = converted(tmp_path, network())
        share_weights(tmp_path / "model.onnx", folder, folder / "model.onnx")
        return folder

    def test_all_weights_are_shared(self, shared):
        tensors = onnx.load(shared / "model.onnx", load_external_data=False).graph.initializer
        assert {tensor.name: tensor.raw_data for tensor in tensors} == {"first": b"", "heavy": b"", "last": b""}

    @pytest.mark.parametrize("kind", [ONNXRUNTIME, OPENVINO], ids=str)
    def test_the_response_is_the_same(self, tmp_path, shared, kind):
        if not is_installed(kind.runtime):
            pytest.skip(f"{kind.runtime} is not installed")
        from imaging.core.matting import engines

        load = engines.OpenVinoEngine if kind == OPENVINO else engines.OnnxRuntimeEngine
        (batch,) = pictures()
        whole, lean = (load(path / "model.onnx", threads=1).run(batch) for path in (tmp_path, shared))
        assert np.array_equal(whole, lean)

    def test_mnn_still_runs(self, tmp_path, shared):
        (batch,) = pictures()
        assert np.abs(engine(shared).run(batch) - truth(tmp_path, batch)).max() < 1e-5
