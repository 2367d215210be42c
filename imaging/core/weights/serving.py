"""Chooses the engine and the precision that serve u2net."""

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from imaging.core.cpu import count_cores, int8_profits
from imaging.core.matting.batching import BatchingEngine
from imaging.core.matting.engines import (
    BatchSession,
    DeviceMissing,
    Engine,
    OnnxRuntimeEngine,
    OpenVinoEngine,
    openvino_installed,
)
from imaging.core.matting.matte import CautiousU2Net, MatteModel, U2Net
from imaging.core.weights.files import INT8_SUFFIX, int8_path, int8_ready, int8_refusal_path, int8_refused, serving_path
from imaging.core.weights.recipe import load_recipe

PRECISIONS = ("auto", "fp32", "int8")
RUNTIMES = ("auto", "onnxruntime", "openvino")

logger = logging.getLogger(__name__)


class CannotServe(Exception):
    """One line for the operator: what was requested and is not available here."""


def load_u2net(
    *, precision: str = "auto", runtime: str = "auto", threads: int, device: str = "cpu", batch_size: int = 8
) -> MatteModel:
    """u2net, loaded and warm, with the requested one of `PRECISIONS` and `RUNTIMES`; "auto" is the fastest available.

    On the `device` "cuda" it is fp32 with onnxruntime, up to `batch_size` images at a time. Raises CannotServe.
    """
    if device == "cuda":
        return U2Net(_on_gpu(serving_path("u2net"), threads, batch_size), name="u2net")
    int8 = uses_int8(precision, runtime)
    make: dict[str, Callable[..., Engine]] = {"openvino": OpenVinoEngine, "onnxruntime": OnnxRuntimeEngine}
    chosen = choose_runtime(runtime, int8=int8)
    logger.info("serving u2net in %s with %s", "INT8" if int8 else "fp32", chosen)
    # In fp32 OpenVINO is no faster, so "auto" falls back to the engine with the same results as rembg.
    exact = make[choose_runtime(runtime, int8=False)]
    if not int8:
        return U2Net(_warm(exact, serving_path("u2net"), threads), name="u2net")
    make_exact: Callable[[], Engine] = partial(exact, serving_path("u2net"), threads=threads, keeps_memory=False)
    fast = _warm(make[chosen], int8_path("u2net"), threads)
    peak, exact_runs = load_recipe("u2net").trusted_peak, max(1, count_cores() // threads)
    names = {"name": f"u2net{INT8_SUFFIX}", "exact_name": "u2net"}
    return CautiousU2Net(fast, make_exact, **names, trusted_peak=peak, exact_runs=exact_runs)


def _on_gpu(path: Path, threads: int, batch_size: int) -> Engine:
    try:
        session = BatchSession(path, device="cuda", threads=threads)
    except DeviceMissing as missing:
        advice = "install requirements-gpu.txt in place of onnxruntime, and see that nvidia-smi finds the GPU"
        raise CannotServe(f"IMAGING_DEVICE=cuda, but {missing}: {advice}") from missing
    logger.info("serving u2net in fp32 on a GPU, up to %d images at a time", batch_size)
    # cuDNN chooses its algorithms for each batch size on first use.
    for count in (batch_size, 1):
        session.run_batch(np.zeros((count, 3, 320, 320), np.float32))
    return BatchingEngine(session.run_batch, size=batch_size)


def uses_int8(precision: str, runtime: str = "auto") -> bool:
    """Whether u2net is served in INT8 here when `precision` and `runtime` are requested. Raises CannotServe."""
    if precision == "fp32" or (precision == "auto" and not _int8_pays(runtime)):
        return False
    if int8_ready("u2net"):
        return True
    if int8_refused("u2net"):
        problem = f"u2net's INT8 version was not close enough to fp32: {int8_refusal_path('u2net').read_text().strip()}"
    else:
        problem = "u2net's INT8 version was not made yet; run `manage.py prepare_model`"
    if precision == "int8":
        raise CannotServe(f"IMAGING_PRECISION=int8, but {problem}")
    logger.warning("serving u2net in fp32: %s", problem)
    return False


def _int8_pays(runtime: str) -> bool:
    # onnxruntime takes longer for this file than for fp32 (0.85 against 0.65 s): only OpenVINO runs quantised convolutions
    # without converting back and forth between them.
    return int8_profits() and runtime != "onnxruntime" and openvino_installed()


def choose_runtime(runtime: str, *, int8: bool) -> str:
    """The runtime to load when `runtime` is requested. Raises CannotServe."""
    if runtime == "openvino" and not openvino_installed():
        raise CannotServe("IMAGING_RUNTIME=openvino, but it is not installed: pip install -r requirements-fast.txt")
    if runtime == "auto":
        return "openvino" if int8 and openvino_installed() else "onnxruntime"
    return runtime


def _warm(engine_class: Callable[..., Engine], path: Path, threads: int) -> Engine:
    """An engine that has run once, so that the first caller does not wait for the allocations of a first run."""
    engine = engine_class(path, threads=threads)
    engine.run(np.zeros((1, 3, 320, 320), np.float32))
    return engine
