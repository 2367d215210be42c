"""Which engine serves: the fastest that was measured here and may, what is forced, and what is left when one fails."""

import json
from dataclasses import replace

import pytest

from imaging.core.weights import choice, engines, serving
from imaging.core.weights.choice import Choice, Figure, best_split, find_choice, this_machine, write_choice
from imaging.core.weights.engines import MNN, ONNXRUNTIME, ONNXRUNTIME_INT8, OPENVINO_INT8, Kind
from imaging.core.weights.files import choice_path, int8_path, mnn_path, serving_path
from imaging.core.weights.serving import CannotServe, choose, load_native


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """Files that only have the right names: nothing is loaded here. All runtimes are installed."""
    monkeypatch.setenv("U2NET_HOME", str(tmp_path))
    monkeypatch.setattr(engines, "find_spec", lambda module: True)
    monkeypatch.setattr(choice, "installed_versions", lambda: {"onnxruntime": "1", "openvino": "1", "mnn": "1"})
    monkeypatch.setattr(serving, "int8_profits", lambda: False)
    serving_path("u2net").parent.mkdir(parents=True, exist_ok=True)
    mnn_path("u2net").mkdir()
    for path in (serving_path("u2net"), int8_path("u2net"), mnn_path("u2net") / "manifest.json"):
        path.touch()
    return tmp_path


FIGURES = [
    Figure("onnxruntime", "fp32", {2: 0.84, 1: 1.64}, 1.64),
    Figure("mnn", "fp32", {2: 0.51, 1: 0.91}, 0.91),
    Figure("openvino", "int8", {2: 0.2, 1: 0.4}, 0.4),
]


def measured(*figures, **machine):
    write_choice(choice_path("u2net"), Choice({**this_machine("u2net"), **machine}, figures or FIGURES))


class TestChoosing:
    def test_the_fastest_first(self):
        measured()
        assert choose("u2net") == [OPENVINO_INT8, MNN, ONNXRUNTIME]

    def test_what_was_refused_does_not_serve(self):
        measured(*FIGURES[:2], replace(FIGURES[2], refusal="error 0.1"))
        assert choose("u2net") == [MNN, ONNXRUNTIME]

    def test_what_is_forced_serves_alone(self):
        measured()
        assert choose("u2net", precision="fp32") == [MNN, ONNXRUNTIME]
        assert choose("u2net", runtime="onnxruntime") == [ONNXRUNTIME]
        assert choose("u2net", precision="int8") == [OPENVINO_INT8, ONNXRUNTIME_INT8]

    def test_what_is_forced_and_was_refused_is_an_error_with_the_reason(self):
        measured(*FIGURES[:2], Figure("openvino", "fp32", {}, refusal="it crashed"))
        with pytest.raises(CannotServe, match=r"IMAGING_RUNTIME=openvino, but u2net was refused with it: it crashed"):
            choose("u2net", runtime="openvino")

    def test_what_is_forced_and_was_not_made_is_an_error_that_names_the_command(self):
        (mnn_path("u2net") / "manifest.json").unlink()
        measured()
        with pytest.raises(CannotServe, match="prepare_model"):
            choose("u2net", runtime="mnn")

    def test_what_is_forced_and_not_installed_names_the_requirements(self, monkeypatch):
        monkeypatch.setattr(engines, "find_spec", lambda module: True if module == "onnxruntime" else None)
        with pytest.raises(CannotServe, match=r"requirements-fast\.txt"):
            choose("u2net", runtime="mnn")
        with pytest.raises(CannotServe, match=r"requirements-int8\.txt"):
            choose("u2net", runtime="openvino")
        assert choose("u2net") == [ONNXRUNTIME]

    @pytest.mark.parametrize("profits", [True, False])
    def test_without_figures_the_processor_decides(self, monkeypatch, profits):
        monkeypatch.setattr(serving, "int8_profits", lambda: profits)
        assert choose("u2net")[0] == (OPENVINO_INT8 if profits else MNN)

    def test_without_figures_int8_that_was_refused_elsewhere_does_not_serve(self, monkeypatch):
        monkeypatch.setattr(serving, "int8_profits", lambda: True)
        measured(*FIGURES[:2], replace(FIGURES[2], refusal="error 0.1"), processor="another one")
        assert OPENVINO_INT8 not in choose("u2net")

    def test_other_models_have_onnxruntime_alone(self):
        path = serving_path("birefnet-general")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        assert choose("birefnet-general") == [ONNXRUNTIME]


class TestFigures:
    def test_hold_for_this_machine_only(self):
        measured()
        choice = find_choice("u2net")
        assert choice is not None
        assert [figure.kind for figure in choice.ranked()] == [OPENVINO_INT8, MNN, ONNXRUNTIME]
        measured(processor="another one")
        assert find_choice("u2net") is None

    @pytest.mark.parametrize("changed", [{"versions": {"onnxruntime": "2"}}, {"cores": 99}, {"files": ["u2net-serving-0"]}])
    def test_a_changed_package_machine_or_file_ends_them(self, changed):
        measured(**changed)
        assert find_choice("u2net") is None

    @pytest.mark.parametrize("content", ["", "{}", "[]", '{"machine": {}, "figures": [{}]}', "\0"])
    def test_a_damaged_file_is_as_none(self, content):
        choice_path("u2net").write_text(content)
        assert find_choice("u2net") is None

    def test_survive_their_file(self):
        measured()
        choice = find_choice("u2net")
        assert choice is not None
        assert choice.figures == FIGURES
        assert json.loads(choice_path("u2net").read_text())["machine"]["cores"] == this_machine("u2net")["cores"]


@pytest.mark.parametrize(
    ("seconds", "threads", "split"),
    [
        ({2: 0.51, 1: 0.91}, 2, (2, 1)),  # 2.0 images a second instead of 2.2: not worth a copy
        ({2: 0.68, 1: 1.04}, 2, (2, 1)),  # nor here, where two at once really make 1.8 instead of 1.65
        ({2: 0.9, 1: 0.91}, 2, (1, 2)),
        ({16: 0.2, 4: 0.3, 1: 0.91}, 16, (4, 4)),
        ({2: 0.51, 1: 0.91}, 1, (1, 1)),
        ({}, 2, (2, 1)),
    ],
)
def test_threads_and_sessions(seconds, threads, split):
    assert best_split(seconds, threads) == split


@pytest.mark.parametrize(("seconds", "quiet"), [({2: 0.5, 1: 0.95}, True), ({2: 6.9, 1: 7.7}, False), ({}, False)])
def test_seconds_of_a_busy_machine_do_not_count(seconds, quiet):
    assert Figure("mnn", "fp32", seconds, 0.9).was_quiet is quiet


class Loaded:
    def run(self, batch, *, give_memory_back=False):
        return batch[0, 0] * 0


class TestLoading:
    @pytest.fixture
    def broken(self, monkeypatch):
        broken: set[Kind] = set()

        def make_engine(name, kind, **options):
            if kind in broken:
                raise ValueError("0.mnn is damaged")
            return Loaded()

        monkeypatch.setattr(serving, "make_engine", make_engine)
        return broken

    def test_says_which_engine_serves(self, broken):
        measured(*FIGURES[:2])
        assert load_native("u2net", threads=1).name == "u2net@8d10d2f3bb75; engine=mnn-fp32"

    def test_int8_names_itself(self, broken):
        measured()
        assert load_native("u2net", threads=1).name == "u2net@8d10d2f3bb75; engine=openvino-int8"

    def test_the_next_one_serves_when_the_first_cannot_be_loaded(self, broken, caplog):
        measured(*FIGURES[:2])
        broken.add(MNN)
        assert load_native("u2net", threads=1).name == "u2net@8d10d2f3bb75; engine=onnxruntime-fp32"
        assert "u2net cannot be served with mnn-fp32: 0.mnn is damaged" in caplog.text

    def test_none_that_can_be_loaded_is_an_error(self, broken):
        measured()
        broken.add(MNN)
        with pytest.raises(CannotServe, match="prepare_model --again"):
            load_native("u2net", runtime="mnn", threads=1)
