"""What must be ready before a process takes traffic. Apps register their parts, so that config need not know them."""

from collections.abc import Callable

_parts: dict[str, Callable[[], bool]] = {}


def register(name: str, is_ready: Callable[[], bool]) -> None:
    """Make `/readyz` wait for `is_ready`, a quick check without side effects."""
    _parts[name] = is_ready


def states() -> dict[str, bool]:
    """Each registered part and whether it is ready."""
    return {name: is_ready() for name, is_ready in _parts.items()}
