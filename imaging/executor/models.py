"""The models that the operator has switched on, what callers may name, and the loaded ones besides the default."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from django.conf import settings

from imaging.core.matting.matte import MatteModel
from imaging.core.memory import trim
from imaging.core.problems import Problem
from imaging.core.values import shortened
from imaging.core.weights.files import weights_ready
from imaging.core.weights.registry import MODELS, versioned, weights_version
from imaging.problems import make_problem

FIELD = "model"


def default_name() -> str:
    """The model of requests that name none."""
    return str(settings.IMAGING_MODELS[0])


def name_of(model: str) -> str:
    """The name of a model as callers send it: without its version, or the default for ""."""
    return model.partition("@")[0] or default_name()


def ready_names() -> list[str]:
    """The switched-on models whose weights are on this machine, and the default in any case: it is reported elsewhere."""
    first, *others = settings.IMAGING_MODELS
    return [first, *(name for name in others if weights_ready(name))]


def queue_of(name: str) -> str:
    """The queue of jobs for a model: all workers have the default, others consume the queues of those that they have."""
    queue = str(settings.QUEUES["inference"])
    return queue if name == default_name() else f"{queue}-{name}"


def find_problems(model: str, names: Sequence[str]) -> list[Problem]:
    """What is wrong with the field `model`, as sent, where `names` are served: one problem at most."""
    name, _, version = model.partition("@")
    if model and name not in names:
        allowed = ", ".join(versioned(one) for one in names)
        return [make_problem(FIELD, "unknown_model", models=allowed, value=shortened(model))]
    if version and version != weights_version(name):
        return [make_problem(FIELD, "model_version_gone", model=versioned(name), value=shortened(model))]
    return []


def megabytes(name: str) -> int:
    """The memory of a loaded model and its runs, in megabytes, roughly."""
    return MODELS[name].megabytes if name in MODELS else 2000


@dataclass(slots=True)
class _Entry:
    loading: threading.Lock = field(default_factory=threading.Lock)
    model: MatteModel | None = None
    users: int = 0
    used_at: int = 0


class Pool:
    """Models besides the default, each loaded on first use. The least recently used goes when their memory passes a bound.

    A model in use stays, so the bound may be passed for as long as it is. Loading one keeps no other waiting.
    """

    def __init__(self, load: Callable[[str], MatteModel]) -> None:
        """`load` returns a loaded model, and may take seconds."""
        self._load = load
        self._entries: dict[str, _Entry] = {}
        self._lock = threading.Lock()
        self._clock = 0

    @contextmanager
    def borrowed(self, name: str, bound: int) -> Iterator[MatteModel]:
        """The model, loaded; it stays during the block. `bound` is for all models but the default, in megabytes.

        Raises what `load` raises.
        """
        with self._lock:
            entry = self._entries.setdefault(name, _Entry())
            entry.users += 1
            self._clock += 1
            entry.used_at = self._clock
        try:
            with entry.loading:
                if entry.model is None:
                    self._make_room(name, bound)
                    entry.model = self._load(name)
            yield entry.model
        finally:
            with self._lock:
                entry.users -= 1
                if entry.model is None and not entry.users:
                    # It could not be loaded: the next request tries again.
                    del self._entries[name]

    def names(self) -> list[str]:
        """What the loaded models say of themselves."""
        with self._lock:
            return [entry.model.name for entry in self._entries.values() if entry.model is not None]

    def _make_room(self, name: str, bound: int) -> None:
        with self._lock:
            loaded = {one: entry for one, entry in self._entries.items() if entry.model is not None}
            excess = sum(map(megabytes, loaded)) + megabytes(name) - bound
            idle = sorted((entry.used_at, one) for one, entry in loaded.items() if not entry.users)
            while excess > 0 and idle:
                _, oldest = idle.pop(0)
                excess -= megabytes(oldest)
                del self._entries[oldest]
        # Outside of the block: the models' memory is free once `loaded` is.
        del loaded
        trim()
