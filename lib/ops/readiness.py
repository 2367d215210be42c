"""What must be ready before a process takes traffic. Apps register their parts, so that config need not know them."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class _Part:
    is_ready: Callable[[], bool]
    is_shared: Callable[[], bool]


_parts: dict[str, _Part] = {}


def register(name: str, is_ready: Callable[[], bool], *, is_shared: Callable[[], bool] = lambda: False) -> None:
    """Make `/readyz` wait for `is_ready`, a quick check without side effects.

    While `is_shared` the part is reported but not waited for: it does not belong to this process alone.
    """
    _parts[name] = _Part(is_ready, is_shared)


def states(*, shared: bool = False) -> dict[str, bool]:
    """Each registered part of this process (or, if `shared`, each it shares with others), and whether it is ready."""
    return {name: part.is_ready() for name, part in _parts.items() if part.is_shared() == shared}
