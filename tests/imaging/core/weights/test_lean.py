"""`prepare_model --lean`: all engines share one copy of the weights, and nothing has to be prepared afterwards."""

import numpy as np
import onnx
import onnxruntime
import pytest

from imaging.core.matting.mnn_manifest import write_manifest
from imaging.core.weights import files, measuring, mnn_conversion, preparation
from imaging.core.weights.choice import Choice, Figure, find_choice, this_machine
from imaging.core.weights.files import choice_path, lean_path, mnn_path, serving_path, weights_ready, whole_path
from imaging.core.weights.mnn_conversion import ConversionFailed
from tests.imaging.core.weights import preparing
from tests.imaging.core.weights.preparing import MODEL, FakeSource, files_in, prepare_model

home, use_sources = preparing.home, preparing.use_sources
WEIGHT_FILE = "0.mnn.weight"


@pytest.fixture(autouse=True)
def source(settings, monkeypatch, home, use_sources):
    """MNN is installed and OpenVINO is not; the weights can be fetched. Counts how often they are."""
    settings.IMAGING_RUNTIME = "auto"
    monkeypatch.setattr(preparation, "is_installed", lambda runtime: runtime == "mnn")
    fake = FakeSource(MODEL)
    use_sources(fake)
    return fake


@pytest.fixture(autouse=True)
def engines(monkeypatch):
    """Stand in for MNN's converter, whose files hold weights as they are, after others; and for the timing."""

    def convert(source, folder):
        weights = [tensor.raw_data for tensor in onnx.load(source).graph.initializer]
        (folder / WEIGHT_FILE).write_bytes(b"bias" + b"".join(weights))
        write_manifest(folder, [])

    def measure(name, scratch, say):
        return Choice(this_machine(name), [Figure("mnn", "fp32", {1: 0.5}, 0.5)])

    monkeypatch.setattr(mnn_conversion, "convert", convert)
    monkeypatch.setattr(measuring, "measure", measure)


def response():
    """What onnxruntime makes of the file that is served."""
    session = onnxruntime.InferenceSession(str(serving_path("u2net")), providers=["CPUExecutionProvider"])
    image = np.linspace(0, 1, 192, dtype=np.float32).reshape(1, 3, 8, 8)
    return session.run(None, {"picture": image})[0]


def test_one_copy_of_the_weights_stays(home):
    prepare_model("u2net", "--lean")
    assert files_in(home) == {WEIGHT_FILE, "manifest.json", lean_path("u2net").name, choice_path("u2net").name}
    (tensor,) = onnx.load(serving_path("u2net"), load_external_data=False).graph.initializer
    assert not tensor.raw_data


def test_the_same_network_is_served():
    prepare_model("u2net")
    whole = response()
    prepare_model("u2net", "--lean")
    assert serving_path("u2net") == lean_path("u2net")
    assert np.array_equal(response(), whole)


def test_figures_stay_and_nothing_is_left_to_do(source):
    prepare_model("u2net", "--lean")
    assert find_choice("u2net") is not None
    assert "nothing to do" in prepare_model("u2net")
    assert "nothing to do" in prepare_model("u2net", "--lean")
    assert source.requests == 1


def test_another_processor_is_timed_from_the_shared_weights(monkeypatch, source):
    prepare_model("u2net", "--lean")
    monkeypatch.setattr("imaging.core.weights.choice.processor", lambda: "another one")
    assert find_choice("u2net") is None
    assert "will be served with mnn-fp32" in prepare_model("u2net")
    assert find_choice("u2net") is not None
    assert source.requests == 1


def test_a_weight_that_mnn_changed_stays_in_the_file(monkeypatch):
    def convert(source, folder):
        (folder / WEIGHT_FILE).write_bytes(bytes(1000))
        write_manifest(folder, [])

    monkeypatch.setattr(mnn_conversion, "convert", convert)
    prepare_model("u2net")
    whole = response()
    prepare_model("u2net", "--lean")
    assert np.array_equal(response(), whole)


def test_without_mnn_the_fetched_file_goes(monkeypatch, home):
    def fail(source, folder):
        raise ConversionFailed("MNN's converter: no such operator")

    monkeypatch.setattr(mnn_conversion, "convert", fail)
    prepare_model("u2net", "--lean")
    assert files_in(home) == {whole_path("u2net").name, choice_path("u2net").name}
    assert weights_ready("u2net")


def test_a_file_in_the_folder_of_earlier_rembg_versions_stays(home):
    """Its place decides where everything else is looked for."""
    home.mkdir()
    (home / "u2net.onnx").write_bytes(MODEL)
    prepare_model("u2net", "--lean")
    assert (home / "u2net.onnx").exists()
    assert serving_path("u2net") == lean_path("u2net")
    assert weights_ready("u2net")


@pytest.mark.parametrize("damage", ["cut off", "gone"])
def test_damaged_weights_are_fetched_again(source, damage):
    prepare_model("u2net", "--lean")
    whole = response()
    path = mnn_path("u2net") / WEIGHT_FILE
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-100])
    assert "is damaged: replacing it" in prepare_model("u2net")
    assert source.requests == 2
    assert np.array_equal(response(), whole)
    assert "nothing to do" in prepare_model("u2net")


def test_a_release_that_converts_differently_makes_both_files_again(monkeypatch, source):
    prepare_model("u2net", "--lean")
    old = mnn_path("u2net")
    monkeypatch.setattr(files, "MNN_BUILD", files.MNN_BUILD + 1)
    assert not weights_ready("u2net")
    prepare_model("u2net", "--lean")
    assert weights_ready("u2net")
    assert serving_path("u2net") == lean_path("u2net")
    assert not old.exists()


def test_a_full_disk_leaves_the_whole_file(monkeypatch, home):
    def fail(source, folder, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("imaging.core.weights.sharing.share_weights", fail)
    assert "Going on with what is there" in prepare_model("u2net", "--lean")
    assert serving_path("u2net") == whole_path("u2net")
    assert weights_ready("u2net")
