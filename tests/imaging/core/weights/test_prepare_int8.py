"""`manage.py prepare_model` and the INT8 version: built once, judged, and never in the way of fp32."""

import io
import shutil
from types import SimpleNamespace

import pytest
from django.core.management import CommandError, call_command

from imaging.core.weights import files as weights
from imaging.core.weights import int8_preparation, preparation, recipe
from imaging.core.weights.files import (
    OWN_WEIGHTS,
    int8_path,
    int8_ready,
    int8_refusal_path,
    int8_refused,
    weights_path,
    weights_ready,
)
from imaging.core.weights.recipe import Recipe, write_recipe
from tests.imaging.core.weights import preparing
from tests.imaging.core.weights.preparing import MODEL, files_in

home = preparing.home


@pytest.fixture(autouse=True)
def fetched(home):
    """The tiny weights, where the command finds them."""
    home.mkdir()
    (home / "u2net.onnx").write_bytes(MODEL)


@pytest.fixture(autouse=True)
def recipes(tmp_path, monkeypatch, settings):
    """A recipe for the tiny weights, and a setting that asks for it on any processor."""
    settings.IMAGING_PRECISION = "int8"
    monkeypatch.setattr(recipe, "RECIPES", tmp_path)
    write(trusted_peak=0.9)


@pytest.fixture
def builder(monkeypatch):
    """Stands in for quantising and judging: counts its calls, and returns a preset result."""
    fake = SimpleNamespace(runs=0, refusal=None)

    def build(name, target):
        fake.runs += 1
        target.write_bytes(b"int8")
        return fake.refusal

    monkeypatch.setattr(int8_preparation, "build", build)
    return fake


def write(trusted_peak):
    write_recipe(
        recipe.recipe_path("u2net"), Recipe(OWN_WEIGHTS["u2net"].sha256, {}, frozenset(), {}, trusted_peak), {"mae": 0}
    )


def prepare_model():
    out = io.StringIO()
    call_command("prepare_model", "u2net", stdout=out)
    return out.getvalue()


def test_is_made_once(builder):
    assert "INT8" in prepare_model()
    assert int8_ready("u2net")
    assert int8_path("u2net").read_bytes() == b"int8"
    assert "nothing to do" in prepare_model()
    assert builder.runs == 1


def test_what_is_not_near_enough_is_not_kept_and_not_made_again(home, builder):
    builder.refusal = "error 0.1"
    assert "stays in fp32: INT8 is not accurate enough: error 0.1" in prepare_model()
    assert not int8_ready("u2net")
    assert int8_refused("u2net")
    assert int8_refusal_path("u2net").read_text() == "error 0.1\n"
    assert weights_ready("u2net")
    assert b"int8" not in [path.read_bytes() for path in home.iterdir()]
    assert "nothing to do" in prepare_model()
    assert builder.runs == 1


def test_a_new_recipe_replaces_the_file_of_the_old_one(home, builder):
    prepare_model()
    old = int8_path("u2net")
    write(trusted_peak=0.8)
    assert not int8_ready("u2net")
    prepare_model()
    assert int8_ready("u2net")
    assert not old.exists()
    assert int8_path("u2net").name in files_in(home)


def test_a_recipe_for_other_weights_makes_nothing(monkeypatch, builder):
    other = Recipe("0" * 64, {}, frozenset(), {}, 0.9)
    write_recipe(recipe.recipe_path("u2net"), other, {})
    prepare_model()
    assert weights_ready("u2net")
    assert not int8_ready("u2net")
    assert builder.runs == 0


@pytest.mark.parametrize(("precision", "profits", "made"), [("fp32", True, 0), ("auto", False, 0), ("auto", True, 1)])
def test_is_made_where_it_will_be_served(settings, monkeypatch, builder, precision, profits, made):
    settings.IMAGING_PRECISION = precision
    monkeypatch.setattr("imaging.management.commands.prepare_model.int8_profits", lambda: profits)
    prepare_model()
    assert builder.runs == made
    assert weights_ready("u2net")


def test_too_little_space_is_reported_before_the_work(monkeypatch, builder):
    prepare_fp32(monkeypatch)
    usage = SimpleNamespace(free=len(MODEL) // 4)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(CommandError, match="Not enough disk space"):
        prepare_model()
    assert builder.runs == 0


def test_a_failure_leaves_fp32_and_no_half_file(home, monkeypatch):
    def fail(name, target):
        target.write_bytes(b"half")
        raise RuntimeError("interrupted")

    monkeypatch.setattr(int8_preparation, "build", fail)
    with pytest.raises(RuntimeError):
        prepare_model()
    assert weights_ready("u2net")
    assert not int8_ready("u2net")
    assert files_in(home) == {weights_path("u2net").name, weights.serving_path("u2net").name}


def prepare_fp32(monkeypatch):
    with monkeypatch.context() as context:
        context.setattr(preparation, "has_int8_recipe", lambda name: False)
        prepare_model()
