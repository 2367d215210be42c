"""The engines that can run a model: a runtime and a precision each, and the file that it opens."""

from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from imaging.core.weights.files import int8_path, int8_ready, mnn_path, mnn_ready, serving_path, weights_ready
from imaging.core.weights.registry import NATIVE

if TYPE_CHECKING:
    from imaging.core.matting.engines import Engine

RUNTIMES = ("onnxruntime", "openvino", "mnn")
_MODULES = {"onnxruntime": "onnxruntime", "openvino": "openvino", "mnn": "MNN"}
# The requirements file with the package of a runtime that is optional.
EXTRAS = {"openvino": "requirements-int8.txt", "mnn": "requirements-fast.txt"}


@dataclass(frozen=True, slots=True)
class Kind:
    """A way to run a model, such as mnn in fp32."""

    runtime: str
    precision: str

    def __str__(self) -> str:
        return f"{self.runtime}-{self.precision}"


ONNXRUNTIME, MNN = Kind("onnxruntime", "fp32"), Kind("mnn", "fp32")
OPENVINO, OPENVINO_INT8 = Kind("openvino", "fp32"), Kind("openvino", "int8")
# onnxruntime takes longer in INT8 than in fp32 (0.85 against 0.65 s), since it converts back and forth between quantised
# convolutions: only IMAGING_RUNTIME and IMAGING_PRECISION together choose it.
ONNXRUNTIME_INT8 = Kind("onnxruntime", "int8")
CANDIDATES = (ONNXRUNTIME, MNN, OPENVINO, OPENVINO_INT8)


def is_installed(runtime: str) -> bool:
    """Whether the package of one of `RUNTIMES` is installed."""
    return find_spec(_MODULES[runtime]) is not None


def installed_versions() -> dict[str, str]:
    """The version of each installed runtime."""
    return {runtime: metadata.version(runtime) for runtime in RUNTIMES if is_installed(runtime)}


def is_possible(name: str, kind: Kind) -> bool:
    """Whether model `name`, one of `NATIVE`, can run as `kind` here: its package is installed and its file made."""
    if not is_installed(kind.runtime) or (kind.runtime != "onnxruntime" and not NATIVE[name].is_optimised):
        return False
    if kind.precision == "int8":
        return int8_ready(name)
    return mnn_ready(name) if kind.runtime == "mnn" else weights_ready(name)


def file_of(name: str, kind: Kind) -> Path:
    """The file, or MNN's folder, that `kind` opens for model `name`."""
    if kind.precision == "int8":
        return int8_path(name)
    return mnn_path(name) if kind.runtime == "mnn" else serving_path(name)


def make_engine(name: str, kind: Kind, *, threads: int, sessions: int = 1, keeps_memory: bool = True) -> "Engine":
    """An engine for model `name`. `threads` is for one image; MNN makes up to `sessions` copies, the others share one.

    Raises what the runtime raises for a file that it cannot load.
    """
    # Half a second that `prepare_model` and a process without a model must not pay.
    from imaging.core.matting.engines import OnnxRuntimeEngine, OpenVinoEngine
    from imaging.core.matting.mnn import MnnEngine

    path = file_of(name, kind)
    if kind.runtime == "mnn":
        return MnnEngine(path, threads=threads, sessions=sessions)
    if kind.runtime == "openvino":
        return OpenVinoEngine(path, threads=threads)
    return OnnxRuntimeEngine(path, threads=threads, keeps_memory=keeps_memory)
