"""u2net in INT8: built from the recipe, close to fp32, and replaced by it where it cannot be trusted."""

import hashlib
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import onnx
import pytest
from PIL import Image

from imaging.core.matting.engines import OnnxRuntimeEngine, OpenVinoEngine
from imaging.core.matting.matte import CautiousModel, NetworkModel, normalised, shrunk, stretched
from imaging.core.weights import files as weights
from imaging.core.weights import gate
from imaging.core.weights.engines import is_installed
from imaging.core.weights.gate import agreement
from imaging.core.weights.preparation import keep_first_output
from imaging.core.weights.quantisation import quantise
from imaging.core.weights.recipe import load_recipe, packed, unpacked
from imaging.executor import low_priority
from tests.imaging.core.pictures import THREADS, WEIGHTS, RememberingEngine, needs_weights

# The fixtures take seconds: one worker creates them, once.
pytestmark = pytest.mark.xdist_group("int8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("int8")


@pytest.fixture(scope="module")
def int8_file(folder):
    """The INT8 version, built from the genuine weights."""
    if not WEIGHTS.exists():
        pytest.skip(f"the weights of u2net are not at {WEIGHTS}")
    keep_first_output(WEIGHTS, folder / "fp32.onnx")
    quantise(folder / "fp32.onnx", folder / "int8.onnx", load_recipe("u2net"))
    return folder / "int8.onnx"


@pytest.fixture(scope="module")
def exact(int8_file):
    return RememberingEngine(OnnxRuntimeEngine(int8_file.with_name("fp32.onnx"), threads=THREADS))


@pytest.fixture(scope="module")
def fast(int8_file):
    # With one thread, some processors round differently: 0.9687 instead of 0.9766 of overlap, just below the gate's bar.
    return RememberingEngine(OnnxRuntimeEngine(int8_file, threads=os.cpu_count() or 1))


def answers_of(engine):
    """The responses to the gate's photographs."""
    return np.stack([engine.run(batch) for batch in gate_batches()])


def gate_batches():
    return [normalised(shrunk(image)) for image in gate.photographs()]


class FixedEngine:
    """Gives every image the same answer, and counts them."""

    def __init__(self, peak):
        self.response = np.linspace(0, peak, 320 * 320, dtype=np.float32).reshape(320, 320)
        self.runs = 0

    def run(self, batch, *, give_memory_back=False):
        self.runs += 1
        return self.response


class TestTheFile:
    def test_the_same_bytes_every_time(self, int8_file, folder):
        quantise(folder / "fp32.onnx", folder / "again.onnx", load_recipe("u2net"))
        digests = {hashlib.sha256(path.read_bytes()).hexdigest() for path in (int8_file, folder / "again.onnx")}
        assert len(digests) == 1

    def test_weights_are_bytes(self, int8_file, folder):
        assert int8_file.stat().st_size < (folder / "fp32.onnx").stat().st_size / 3.8

    def test_every_size_is_a_constant(self, int8_file):
        operators = {node.op_type for node in onnx.load(int8_file).graph.node}
        assert operators == {"Conv", "Relu", "MaxPool", "Concat", "Add", "Resize", "Sigmoid"} | {
            "QuantizeLinear",
            "DequantizeLinear",
        }

    def test_a_tensor_without_a_range_is_an_error(self, int8_file, folder):
        recipe = load_recipe("u2net")
        with pytest.raises(KeyError):
            quantise(folder / "fp32.onnx", folder / "broken.onnx", replace(recipe, ranges={}))
        assert not (folder / "broken.onnx").exists()

    def test_the_recipe_is_of_the_weights_that_are_served(self):
        assert weights.has_int8_recipe("u2net")
        assert not weights.has_int8_recipe("isnet-general-use")

    def test_corrections_survive_their_packing(self):
        values = np.array([-1.5, 0, 0.01, 0.7], np.float32)
        assert np.abs(unpacked(packed(values)) - values).max() <= 1.5 / 127 / 2 * 1.01


class TestTheGate:
    def test_lets_the_recipe_pass(self, fast, exact):
        assert gate.refusal(answers_of(fast), answers_of(exact)) == ""

    def test_refuses_a_model_that_is_somewhat_off(self, exact):
        truths = answers_of(exact)
        assert "error" in gate.refusal(np.roll(truths, 4, axis=2), truths)

    def test_refuses_what_is_no_number(self, exact):
        truths = answers_of(exact)
        assert gate.refusal(np.full_like(truths, np.nan), truths)

    def test_two_empty_subjects_agree(self):
        assert agreement(np.zeros((4, 4), np.float32), np.zeros((4, 4), np.float32)) == (0, 1)

    def test_half_of_a_subject(self):
        truth = np.ones((4, 4), np.float32)
        matte = truth.copy()
        matte[:2] = 0
        assert agreement(matte, truth) == (0.5, 0.5)


class TestPredictions:
    @needs_weights
    @pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee"])
    def test_near_fp32_and_marked(self, fast, exact, name):
        image = Image.open(gate.PHOTOGRAPHS / f"{name}.jpg").convert("RGB")
        model = CautiousModel(
            fast, lambda: pytest.fail("needs no fp32"), name="u2net-int8", exact_name="u2net", trusted_peak=0.9
        )
        prediction = model.predict(image)
        truth = NetworkModel(exact, name="u2net").predict(image)
        assert (prediction.model, truth.model) == ("u2net-int8", "u2net")
        mattes = (np.asarray(matte, np.float32) / np.float32(255) for matte in (prediction.matte, truth.matte))
        error, overlap = agreement(*mattes)
        assert error <= 0.006
        assert overlap >= 0.97

    def test_an_image_without_a_subject_is_run_in_fp32(self, fast, exact):
        noise = Image.effect_noise((320, 320), 60).convert("RGB")
        model = CautiousModel(
            fast, lambda: exact, name="u2net-int8", exact_name="u2net", trusted_peak=load_recipe("u2net").trusted_peak
        )
        prediction = model.predict(noise)
        assert prediction.model == "u2net"
        assert prediction.matte.tobytes() == NetworkModel(exact, name="u2net").predict(noise).matte.tobytes()

    @pytest.mark.parametrize(("peak", "name"), [(0.95, "u2net-int8"), (0.91, "u2net-int8"), (0.89, "u2net"), (0.0, "u2net")])
    def test_the_peak_decides(self, peak, name):
        fast, exact = FixedEngine(np.float32(peak)), FixedEngine(1.0)
        model = CautiousModel(fast, lambda: exact, name="u2net-int8", exact_name="u2net", trusted_peak=0.9)
        assert model.predict(Image.new("RGB", (20, 10))).model == name
        assert exact.runs == (name == "u2net")

    def test_fp32_is_loaded_once_however_many_ask(self):
        made = []

        def make():
            made.append(1)
            return FixedEngine(1.0)

        model = CautiousModel(FixedEngine(0.1), make, name="u2net-int8", exact_name="u2net", trusted_peak=0.9)
        assert not made
        threads = [threading.Thread(target=model.predict, args=[Image.new("RGB", (9, 9))]) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(made) == 1

    @pytest.mark.parametrize("runs", [1, 2])
    def test_no_more_run_in_fp32_at_once_than_the_cores_have_room_for(self, runs):
        inside, most, counting = [], [], threading.Lock()
        full = threading.Barrier(runs)

        class Counting:
            def run(self, batch, *, give_memory_back=False):
                with counting:
                    inside.append(1)
                    most.append(len(inside))
                full.wait(10)
                with counting:
                    inside.pop()
                return np.full((320, 320), 1.0, np.float32)

        model = CautiousModel(
            FixedEngine(0.1), Counting, name="u2net-int8", exact_name="u2net", trusted_peak=0.9, exact_runs=runs
        )
        with ThreadPoolExecutor(6) as callers:
            list(callers.map(lambda _: model.predict(Image.new("RGB", (9, 9))), range(6)))
        assert max(most) == runs

    @pytest.mark.skipif(not hasattr(os, "setpriority"), reason="priorities of threads are Linux's")
    def test_fp32_runs_at_the_priority_of_the_process_for_large_images_too(self):
        found = []

        class Noting:
            def __init__(self):
                self.run(None)

            def run(self, batch, *, give_memory_back=False):
                found.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
                return np.full((320, 320), 1.0, np.float32)

        model = CautiousModel(FixedEngine(0.1), Noting, name="u2net-int8", exact_name="u2net", trusted_peak=0.9)
        low_priority.run(lambda: model.predict(Image.new("RGB", (9, 9))))
        assert set(found) == {os.getpriority(os.PRIO_PROCESS, 0)}


class TestOpenVino:
    @pytest.fixture(scope="class")
    def engine(self, int8_file):
        if not is_installed("openvino"):
            pytest.skip("OpenVINO is not installed (requirements-int8.txt)")
        return OpenVinoEngine(int8_file, threads=THREADS)

    @pytest.mark.filterwarnings("ignore")  # we are not responsible for its imports
    def test_passes_the_gate(self, engine, exact):
        assert gate.refusal(answers_of(engine), answers_of(exact)) == ""

    @pytest.mark.filterwarnings("ignore")
    def test_serves_several_threads(self, engine):
        batches = gate_batches()
        expected = [engine.run(batch) for batch in batches]
        found = {}
        threads = [
            threading.Thread(target=lambda n=n, batch=batch: found.update({n: engine.run(batch)}))
            for n, batch in enumerate(batches)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for n, response in enumerate(expected):
            assert np.abs(stretched(found[n]) - stretched(response)).max() < 0.01
