"""Loads the models that are served here, each with the fastest engine that was found for it."""

import logging
from collections.abc import Callable
from functools import partial

import numpy as np

from imaging.core.cpu import count_cores, int8_profits
from imaging.core.matting.batching import BatchingEngine
from imaging.core.matting.engines import BatchSession, DeviceMissing, Engine
from imaging.core.matting.matte import CautiousModel, MatteModel, NetworkModel
from imaging.core.weights import engines
from imaging.core.weights.choice import Choice, best_split, find_any_choice, find_choice
from imaging.core.weights.engines import EXTRAS, MNN, ONNXRUNTIME, ONNXRUNTIME_INT8, OPENVINO_INT8, Kind, make_engine
from imaging.core.weights.files import has_int8_recipe, int8_ready, serving_path
from imaging.core.weights.recipe import load_recipe
from imaging.core.weights.registry import NATIVE, Label, weights_version

PRECISIONS = ("auto", "fp32", "int8")
RUNTIMES = ("auto", *engines.RUNTIMES)

logger = logging.getLogger(__name__)


class CannotServe(Exception):
    """One line for the operator: what was requested and is not available here."""


def load_native(
    name: str, *, precision: str = "auto", runtime: str = "auto", threads: int, device: str = "cpu", batch_size: int = 8
) -> MatteModel:
    """Model `name`, one of `NATIVE`, loaded and warm, with the requested one of `PRECISIONS` and `RUNTIMES`.

    "auto" is the fastest engine that `prepare_model` found here. If it cannot be loaded, the next one serves.
    On the `device` "cuda" it is fp32 with onnxruntime, up to `batch_size` images at a time. Raises CannotServe.
    """
    if device == "cuda":
        engine = _on_gpu(name, threads, batch_size)
        return NetworkModel(engine, name=label(name, "cuda-fp32"), network=NATIVE[name].network)
    # INT8 is for models with a recipe; an operator who insists on it may serve others as well.
    kinds = choose(name, precision if has_int8_recipe(name) else "auto", runtime)
    for kind in kinds:
        try:
            return _loaded(name, kind, kinds, threads)
        except Exception as error:
            # What a runtime raises for a file that it cannot read is its own affair.
            logger.warning("%s cannot be served with %s: %s", name, kind, error)
    raise CannotServe(f"{name} cannot be served with {', '.join(map(str, kinds))}; run `manage.py prepare_model --again`")


def label(name: str, engine: str) -> str:
    """What `X-Model` says: name, version, and the engine that made the matte."""
    return str(Label(name, weights_version(name), engine))


def _loaded(name: str, kind: Kind, kinds: list[Kind], threads: int) -> MatteModel:
    logger.info("serving %s with %s", name, kind)
    network = NATIVE[name].network
    engine = _warm(name, kind, threads)
    if kind.precision == "fp32":
        return NetworkModel(engine, name=label(name, str(kind)), network=network)
    exact = next((other for other in kinds if other.precision == "fp32"), _fastest_exact(name))
    make_exact: Callable[[], Engine] = partial(make_engine, name, exact, threads=threads, keeps_memory=False)
    peak, exact_runs = load_recipe(name).trusted_peak, max(1, count_cores() // threads)
    names = {"name": label(name, str(kind)), "exact_name": label(name, str(exact))}
    return CautiousModel(engine, make_exact, **names, trusted_peak=peak, exact_runs=exact_runs)


def _warm(name: str, kind: Kind, threads: int) -> Engine:
    """An engine that has run once, so that the first caller does not wait for the allocations of a first run."""
    choice = find_choice(name)
    figures = [figure for figure in (choice.figures if choice else ()) if figure.kind == kind and figure.was_quiet]
    seconds = figures[0].seconds if figures else {}
    # The others have one session that all images share.
    each, sessions = best_split(seconds, threads) if kind.runtime == "mnn" else (threads, 1)
    engine = make_engine(name, kind, threads=each, sessions=sessions)
    engine.run(_blank(name, 1))
    return engine


def _blank(name: str, count: int) -> "np.typing.NDArray[np.float32]":
    width, height = NATIVE[name].network.size
    return np.zeros((count, 3, height, width), np.float32)


def _on_gpu(name: str, threads: int, batch_size: int) -> Engine:
    try:
        session = BatchSession(serving_path(name), device="cuda", threads=threads)
    except DeviceMissing as missing:
        advice = "install requirements-gpu.txt in place of onnxruntime, and see that nvidia-smi finds the GPU"
        raise CannotServe(f"IMAGING_DEVICE=cuda, but {missing}: {advice}") from missing
    logger.info("serving %s in fp32 on a GPU, up to %d images at a time", name, batch_size)
    # cuDNN chooses its algorithms for each batch size on first use.
    for count in (batch_size, 1):
        session.run_batch(_blank(name, count))
    return BatchingEngine(session.run_batch, size=batch_size)


# --- Which engine --------------------------------------------------------------------------------


def choose(name: str, precision: str = "auto", runtime: str = "auto") -> list[Kind]:
    """The engines that may serve model `name`, the first of choice first. Raises CannotServe if there is none."""
    if runtime in EXTRAS and not engines.is_installed(runtime):
        raise CannotServe(f"IMAGING_RUNTIME={runtime}, but it is not installed: pip install -r {EXTRAS[runtime]}")
    choice = find_choice(name)
    order = [figure.kind for figure in choice.ranked()] if choice else _presumed(name)
    if precision == "int8":
        order = [*order, ONNXRUNTIME_INT8]
    kinds = [
        kind
        for kind in order
        if engines.is_possible(name, kind) and precision in ("auto", kind.precision) and runtime in ("auto", kind.runtime)
    ]
    if not kinds:
        raise CannotServe(_why_not(name, precision, runtime, choice))
    return kinds


def _presumed(name: str) -> list[Kind]:
    """The order without figures for this machine: what was fastest on the processors that we know."""
    int8 = [OPENVINO_INT8] if int8_profits() and _may_int8(name) else []
    return [*int8, MNN, ONNXRUNTIME, engines.OPENVINO, *([OPENVINO_INT8] if not int8 and _may_int8(name) else [])]


def _may_int8(name: str) -> bool:
    """Whether INT8 was made, and not refused where it was judged last."""
    choice = find_any_choice(name)
    return int8_ready(name) and not (choice and choice.refusal(OPENVINO_INT8))


def _fastest_exact(name: str) -> Kind:
    return next(kind for kind in choose(name, precision="fp32"))


def _why_not(name: str, precision: str, runtime: str, choice: Choice | None) -> str:
    asked = [f"IMAGING_PRECISION={precision}"] if precision != "auto" else []
    asked += [f"IMAGING_RUNTIME={runtime}"] if runtime != "auto" else []
    refused = [figure for figure in (choice.figures if choice else ()) if figure.refusal]
    refused = [row for row in refused if precision in ("auto", row.precision) and runtime in ("auto", row.runtime)]
    if refused:
        problem = f"{name} was refused with it: {refused[0].refusal}"
    else:
        problem = f"{name} was not made ready for it; run `manage.py prepare_model`"
    return f"{' and '.join(asked) or 'IMAGING_RUNTIME=auto'}, but {problem}"
