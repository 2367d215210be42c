"""Several models: what callers may name, loading on first use, eviction, and the queues of workers."""

import threading

import pytest

from imaging.core.weights.registry import MODELS, NATIVE, Label, unaccepted_licence, versioned
from imaging.executor import models
from imaging.executor.models import Pool, find_problems, queue_of

PATIENCE = 10
VERSION = NATIVE["u2net"].version


class Loaded:
    def __init__(self, name):
        self.name = name

    def predict(self, image):
        raise AssertionError("nothing is predicted here")


class TestNames:
    @pytest.mark.parametrize("model", ["", "u2net", "u2netp", f"u2net@{VERSION}"])
    def test_what_is_served(self, model):
        assert find_problems(model, ["u2net", "u2netp"]) == []

    def test_an_unknown_one_lists_the_known(self):
        (problem,) = find_problems("fastest", ["u2net", "u2netp"])
        assert (problem.field, problem.code) == ("model", "unknown_model")
        assert problem.message == f"'model' must be one of u2net@{VERSION}, {versioned('u2netp')}, got: 'fastest'"

    def test_one_that_is_switched_off_is_unknown(self):
        assert find_problems("u2netp", ["u2net"])[0].code == "unknown_model"

    @pytest.mark.parametrize("version", ["000000000000", VERSION[:-1], f"{VERSION}0", "latest"])
    def test_another_version_is_gone(self, version):
        (problem,) = find_problems(f"u2net@{version}", ["u2net"])
        assert problem.code == "model_version_gone"
        assert f"Served is u2net@{VERSION}" in problem.message

    def test_a_long_one_is_shortened(self):
        assert len(find_problems("x" * 5000, ["u2net"])[0].message) < 300

    def test_only_those_whose_weights_are_there(self, settings, monkeypatch):
        settings.IMAGING_MODELS = ["u2net", "u2netp", "silueta"]
        monkeypatch.setattr(models, "weights_ready", lambda name: name == "silueta")
        assert models.ready_names() == ["u2net", "silueta"]

    def test_queues(self, settings):
        settings.IMAGING_MODELS = ["u2net", "u2netp"]
        inference = settings.QUEUES["inference"]
        assert (queue_of("u2net"), queue_of("u2netp")) == (inference, f"{inference}-u2netp")


class TestPool:
    def test_loads_on_first_use_and_once(self):
        loads: list[str] = []

        def load(name):
            loads.append(name)
            return Loaded(name)

        pool = Pool(load)
        for _ in range(2):
            with pool.borrowed("u2netp", 1000) as model:
                assert model.name == "u2netp"
        assert loads == ["u2netp"]
        assert pool.names() == ["u2netp"]

    def test_the_least_recently_used_goes_when_the_memory_is_passed(self):
        pool = Pool(Loaded)
        bound = sum(MODELS[name].megabytes for name in ("u2netp", "silueta"))
        for name in ("u2netp", "silueta"):
            with pool.borrowed(name, bound):
                pass
        assert sorted(pool.names()) == ["silueta", "u2netp"], "both fit"
        with pool.borrowed("u2netp", bound), pool.borrowed("u2net_human_seg", bound):
            assert sorted(pool.names()) == ["u2net_human_seg", "u2netp"], "silueta was used before u2netp"

    def test_one_in_use_stays(self):
        pool = Pool(Loaded)
        with pool.borrowed("u2netp", 0), pool.borrowed("silueta", 0):
            assert sorted(pool.names()) == ["silueta", "u2netp"]
        with pool.borrowed("silueta", 0), pool.borrowed("isnet-anime", 0):
            assert "u2netp" not in pool.names()

    def test_one_that_is_loading_keeps_no_other_waiting(self):
        begun, go_on = threading.Event(), threading.Event()

        def load(name):
            if name == "slow":
                begun.set()
                assert go_on.wait(PATIENCE)
            return Loaded(name)

        pool, done = Pool(load), []

        def borrow():
            with pool.borrowed("slow", 10_000) as model:
                done.append(model.name)

        thread = threading.Thread(target=borrow)
        thread.start()
        assert begun.wait(PATIENCE)
        with pool.borrowed("u2netp", 10_000) as model:
            assert model.name == "u2netp"
        assert done == []
        go_on.set()
        thread.join(PATIENCE)
        assert done == ["slow"]

    def test_one_that_cannot_be_loaded_is_tried_again(self):
        attempts = []

        def load(name):
            attempts.append(name)
            if len(attempts) == 1:
                raise OSError("the disk is away")
            return Loaded(name)

        pool = Pool(load)
        with pytest.raises(OSError, match="away"), pool.borrowed("u2netp", 1000):
            pass
        assert pool.names() == []
        with pool.borrowed("u2netp", 1000):
            assert pool.names() == ["u2netp"]


def test_a_licence_that_forbids_commercial_use_has_to_be_accepted():
    assert "IMAGING_ACCEPTED_LICENCES=bria-rmbg" in (unaccepted_licence("bria-rmbg", []) or "")
    assert unaccepted_licence("bria-rmbg", ["bria-rmbg"]) is None
    assert unaccepted_licence("u2net", []) is None


@pytest.mark.parametrize("text", ["u2net@8d10d2f3bb75; engine=mnn-fp32", "u2net@8d10d2f3bb75", "ellipse"])
def test_a_label_survives_its_text(text):
    assert str(Label.parse(text)) == text


def test_every_label_fits_into_its_column():
    longest = max(MODELS, key=lambda name: len(versioned(name)))
    assert len(f"{versioned(longest)}; engine=onnxruntime-fp32") <= 64
