"""`prepare_model` converts for MNN, times the engines and keeps their figures; what fails there is left out, in one line."""

import errno

import numpy as np
import pytest

from imaging.core.weights import measuring, mnn_conversion, preparation
from imaging.core.weights.choice import Choice, Figure, find_choice, this_machine
from imaging.core.weights.engines import MNN, ONNXRUNTIME
from imaging.core.weights.files import choice_path, mnn_path, mnn_ready, weights_ready
from imaging.core.weights.mnn_conversion import ConversionFailed
from tests.imaging.core.weights import preparing
from tests.imaging.core.weights.preparing import MODEL, FakeSource, files_in, prepare_model

home, use_sources = preparing.home, preparing.use_sources


@pytest.fixture(autouse=True)
def auto(settings, monkeypatch, home, use_sources):
    """The default settings where MNN is installed and OpenVINO is not, and weights to fetch."""
    settings.IMAGING_RUNTIME = "auto"
    monkeypatch.setattr(preparation, "is_installed", lambda runtime: runtime == "mnn")
    use_sources(FakeSource(MODEL))


@pytest.fixture(autouse=True)
def converted(monkeypatch):
    """Stands in for MNN's converter: counts its calls."""
    calls = []

    def convert(source, folder):
        calls.append(source)
        (folder / "manifest.json").write_text("{}")

    monkeypatch.setattr(mnn_conversion, "convert", convert)
    return calls


@pytest.fixture(autouse=True)
def measured(monkeypatch):
    """Stands in for the timing: counts its calls."""
    calls = []

    def measure(name, scratch, say):
        calls.append(name)
        return Choice(
            this_machine(name), [Figure("mnn", "fp32", {1: 0.5}, 0.5), Figure("onnxruntime", "fp32", {1: 0.8}, 0.8)]
        )

    monkeypatch.setattr(measuring, "measure", measure)
    return calls


class TestPreparing:
    def test_converts_times_and_keeps_the_figures_once(self, converted, measured):
        assert "u2net will be served with mnn-fp32" in prepare_model("u2net")
        assert mnn_ready("u2net")
        choice = find_choice("u2net")
        assert choice is not None
        assert [figure.kind for figure in choice.ranked()] == [MNN, ONNXRUNTIME]
        assert "nothing to do" in prepare_model("u2net")
        assert (len(converted), len(measured)) == (1, 1)

    def test_times_again_when_asked_and_converts_what_is_damaged(self, converted, measured):
        prepare_model("u2net")
        prepare_model("u2net", "--again")
        assert (len(converted), len(measured)) == (2, 2), "the stand-in's folder has no list of files: it counts as damaged"

    def test_times_again_on_another_processor(self, monkeypatch, measured):
        prepare_model("u2net")
        monkeypatch.setattr("imaging.core.weights.choice.processor", lambda: "another one")
        prepare_model("u2net")
        assert len(measured) == 2

    @pytest.mark.parametrize(("runtime", "conversions"), [("onnxruntime", 0), ("mnn", 1)])
    def test_what_is_forced_is_not_timed(self, settings, converted, measured, runtime, conversions):
        settings.IMAGING_RUNTIME = runtime
        prepare_model("u2net")
        assert (len(converted), len(measured)) == (conversions, 0)

    def test_a_failed_conversion_is_one_line(self, monkeypatch, home, measured):
        def fail(source, folder):
            (folder / "0.mnn").write_bytes(b"half")
            raise ConversionFailed("MNN's converter: no such operator")

        monkeypatch.setattr(mnn_conversion, "convert", fail)
        assert "u2net is served without MNN: MNN's converter: no such operator" in prepare_model("u2net")
        assert weights_ready("u2net")
        assert not mnn_ready("u2net")
        assert "0.mnn" not in files_in(home)

    def test_a_disk_that_fills_up_is_one_line(self, monkeypatch, home):
        def fill(source, folder):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(mnn_conversion, "convert", fill)
        assert "Going on with what is there. Not enough disk space" in prepare_model("u2net")
        assert weights_ready("u2net")
        assert not mnn_path("u2net").exists()

    def test_engines_that_cannot_be_timed_are_one_line(self, monkeypatch):
        def fail(name, scratch, say):
            raise RuntimeError("onnxruntime cannot run u2net: no memory")

        monkeypatch.setattr(measuring, "measure", fail)
        assert "served without figures: onnxruntime cannot run u2net: no memory" in prepare_model("u2net")
        assert not choice_path("u2net").exists()


class TestJudging:
    """INT8 is judged as it is served."""

    TRUTHS = np.stack([np.eye(20, dtype=np.float32)] * 4)

    def judged(self, responses):
        return measuring._judged("u2net", Figure("openvino", "int8", {1: 0.2}, 0.2), responses, self.TRUTHS)

    def test_an_image_that_is_left_to_fp32_is_judged_in_fp32(self):
        responses = self.TRUTHS.copy()
        responses[0] = 0.1  # no clear subject
        figure = self.judged(responses)
        assert (figure.refusal, figure.left) == ("", 0.25)

    def test_its_seconds_count(self):
        slower = measuring._with_fallback(Figure("openvino", "int8", {1: 0.2}, 0.2, left=0.25), 0.8)
        assert slower.effort == pytest.approx(0.4)

    def test_what_is_confidently_wrong_is_refused(self):
        assert "overlap" in self.judged(self.TRUTHS[:, ::-1]).refusal


def test_an_engine_that_crashes_is_refused_with_what_it_said(tmp_path):
    figure, _ = measuring._try("no such model", ONNXRUNTIME, tmp_path, lambda: None)
    assert figure.seconds == {}
    assert figure.refusal == "KeyError: 'no such model' (status 1)"
