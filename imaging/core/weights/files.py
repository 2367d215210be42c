"""Lists the weights, their paths, and whether they are ready to serve. Cheap enough for a server's start-up.

`imaging.core.weights.preparation` fetches and optimises them for `manage.py prepare_model`.
"""

import os
from importlib.util import find_spec
from pathlib import Path

from imaging.core.matting.mnn_manifest import MANIFEST
from imaging.core.weights.recipe import load_recipe, recipe_digest, recipe_path
from imaging.core.weights.registry import NATIVE

# Part of the serving file's name. Raise it when `preparation` cuts the graph differently: every installation then makes the
# new file at its next `prepare_model`, while an older release keeps its own file.
SERVING_RECIPE = 1
# The same for the INT8 file, when `quantisation` works differently. Changes to the recipe itself change its digest.
INT8_BUILD = 1
# The same for MNN's folder, when `mnn_conversion` works differently.
MNN_BUILD = 1


def missing_rembg(model: str) -> str | None:
    """Why `model` can be neither prepared nor served here, as a clause with the remedy; None if it can."""
    if model in NATIVE or find_spec("rembg") is not None:
        return None
    return (
        f"{model} needs rembg, which is not installed: pip install -r requirements.txt, "
        "or build the container image with the argument MODELS=all"
    )


def model_home() -> Path:
    """rembg's folder for everything it keeps: `BaseSession.rembg_home`, without importing rembg (1.4 s, 175 MB)."""
    if os.getenv("U2NET_HOME"):
        return legacy_home()
    xdg = os.getenv("XDG_DATA_HOME")
    default = os.path.join(xdg, "rembg") if xdg else os.path.join("~", ".rembg")  # noqa: PTH118  rembg's own expression
    return Path(os.getenv("REMBG_HOME", default)).expanduser()


def legacy_home() -> Path:
    """The flat folder of earlier rembg versions, where weights are still looked for: `BaseSession.legacy_home`."""
    default = os.path.join(os.getenv("XDG_DATA_HOME", "~"), ".u2net")  # noqa: PTH118  rembg's own expression
    return Path(os.getenv("U2NET_HOME", default)).expanduser()


def weights_path(name: str) -> Path:
    """Where rembg finds the weights of model `name` or, if there are none yet, where it would put them.

    The same rule as rembg's (`BaseSession.resolve_existing`), so that its command line and this server share one copy.
    """
    fresh = model_home() / "models" / name / f"{name}.onnx"
    legacy = legacy_home() / f"{name}.onnx"
    return legacy if not _is_file(fresh) and _is_file(legacy) else fresh


def serving_path(name: str) -> Path:
    """The file to open for serving model `name`: the optimised graph next to its weights, or the weights themselves.

    Models in `NATIVE` have an optimised graph with one input and one output; for every other model rembg's file is
    served unchanged. The file need not exist: see `weights_ready`.
    """
    if name not in NATIVE:
        return weights_path(name)
    whole, lean = whole_path(name), lean_path(name)
    return lean if not _is_file(whole) and _is_file(lean) else whole


def whole_path(name: str) -> Path:
    """Where the optimised graph of model `name`, one of `NATIVE`, is written with its weights."""
    return weights_path(name).with_name(f"{name}-serving-{NATIVE[name].version}-r{SERVING_RECIPE}.onnx")


def lean_path(name: str) -> Path:
    """The same graph with its weights in the files of MNN's version, whose folder it is in: see `sharing`."""
    return mnn_path(name) / whole_path(name).name


def weights_ready(name: str) -> bool:
    """Whether model `name` can be served now. Checks for the file only, no hashing.

    That is enough: the serving file gets its name, which holds the source's checksum, only when it is complete.
    """
    return _is_file(serving_path(name))


def has_int8_recipe(name: str) -> bool:
    """Whether there is a quantisation recipe for exactly the weights of model `name`."""
    if name not in NATIVE or not _is_file(recipe_path(name)):
        return False
    return NATIVE[name].checksum == f"sha256:{load_recipe(name).weights_sha256}"


def int8_path(name: str) -> Path:
    """Where the INT8 version of model `name` is written, next to its weights. Only for a model with a recipe."""
    digest = f"{NATIVE[name].version}-{recipe_digest(name)}-r{INT8_BUILD}"
    return weights_path(name).with_name(f"{int8_prefix(name)}{digest}.onnx")


def int8_prefix(name: str) -> str:
    """The prefix of all file names for the INT8 version of model `name`, including those of earlier releases."""
    return f"{name}-int8-"


def int8_ready(name: str) -> bool:
    """Whether the INT8 version of model `name` was made. Checks for the file only."""
    return has_int8_recipe(name) and _is_file(int8_path(name))


def mnn_path(name: str) -> Path:
    """The folder for MNN's version of model `name`, one of `NATIVE`, next to its weights."""
    return weights_path(name).with_name(f"{mnn_prefix(name)}{NATIVE[name].version}-r{MNN_BUILD}")


def mnn_prefix(name: str) -> str:
    """The prefix of all folder names for MNN's version of model `name`, including those of earlier releases."""
    return f"{name}-mnn-"


def mnn_ready(name: str) -> bool:
    """Whether MNN's version of model `name` was made. The folder gets its name when it is complete."""
    return name in NATIVE and _is_file(mnn_path(name) / MANIFEST)


def choice_path(name: str) -> Path:
    """Where the engine that was chosen for model `name` is recorded, next to its weights."""
    return weights_path(name).with_name(f"{name}-engine.json")


def _is_file(path: Path) -> bool:
    """`Path.is_file`, but False in a folder without access. Like `os.path.exists`, which rembg uses."""
    try:
        return path.is_file()
    except OSError:
        return False
