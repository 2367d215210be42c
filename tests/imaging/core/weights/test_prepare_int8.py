"""`manage.py prepare_model` and the INT8 version: built once, and never in the way of fp32."""

import errno
import io
import shutil
from types import SimpleNamespace

import pytest
from django.core.management import call_command

from imaging.core.weights import files as weights
from imaging.core.weights import quantisation, recipe
from imaging.core.weights.files import int8_path, int8_ready, weights_path, weights_ready
from imaging.core.weights.recipe import Recipe, write_recipe
from imaging.core.weights.registry import NATIVE
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
    """Stands in for quantising: counts its calls."""
    fake = SimpleNamespace(runs=0)

    def quantise(source, target, recipe):
        fake.runs += 1
        target.write_bytes(b"int8")

    monkeypatch.setattr(quantisation, "quantise", quantise)
    return fake


def write(trusted_peak):
    digest = NATIVE["u2net"].checksum.removeprefix("sha256:")
    write_recipe(recipe.recipe_path("u2net"), Recipe(digest, {}, frozenset(), {}, trusted_peak), {"mae": 0})


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


@pytest.mark.parametrize(
    ("precision", "runtime", "made"),
    [("int8", "onnxruntime", 1), ("auto", "onnxruntime", 0), ("fp32", "openvino", 0), ("int8", "openvino", 1)],
)
def test_is_made_where_it_can_be_served(settings, builder, precision, runtime, made):
    settings.IMAGING_PRECISION, settings.IMAGING_RUNTIME = precision, runtime
    prepare_model()
    assert builder.runs == made
    assert weights_ready("u2net")


def test_too_little_space_is_reported_and_fp32_serves(monkeypatch, settings, builder):
    prepare_fp32(settings)
    usage = SimpleNamespace(free=len(MODEL) // 4)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    said = prepare_model()
    assert "Going on with what is there. Not enough disk space" in said
    assert weights_ready("u2net")
    assert builder.runs == 0


def test_a_disk_that_fills_up_meanwhile_leaves_fp32_and_no_half_file(home, monkeypatch):
    def quantise(source, target, recipe):
        target.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(quantisation, "quantise", quantise)
    assert "Going on with what is there. Not enough disk space" in prepare_model()
    assert weights_ready("u2net")
    assert not int8_ready("u2net")
    assert files_in(home) == {weights_path("u2net").name, weights.serving_path("u2net").name}


def prepare_fp32(settings):
    settings.IMAGING_PRECISION = "fp32"
    prepare_model()
    settings.IMAGING_PRECISION = "int8"
