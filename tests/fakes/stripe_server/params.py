"""Form parameters: decoding `a[b][0]=c`, and checking them as strictly as Stripe does.

A specification is a dict of parameter names, each with a checker, a nested specification, or a list of one of
either. A name that ends in `!` is required.
"""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

from tests.fakes.stripe_server.errors import Refused

Spec = dict[str, Any]
Checker = Callable[[str, str], Any]


def decode(form: str) -> dict[str, Any]:
    """The nested dicts of a form; arrays are dicts of their indices until a specification says they are arrays."""
    tree: dict[str, Any] = {}
    for name, value in parse_qsl(form, keep_blank_values=True):
        *path, leaf = [name.partition("[")[0], *re.findall(r"\[([^\]]*)\]", name)]
        branch = tree
        for part in path:
            branch = branch.setdefault(part, {})
            if not isinstance(branch, dict):
                raise Refused(f"Invalid parameter: {name}", param=name)
        branch[leaf or str(len(branch))] = value
    return tree


def check(given: dict[str, Any], spec: Spec, prefix: str = "") -> dict[str, Any]:
    """The given parameters, converted to Python's types; raises `Refused` for the first wrong one."""
    known = {name.rstrip("!"): checker for name, checker in spec.items()}
    for name in given:
        if name not in known:
            path = _path(prefix, name)
            raise Refused(f"Received unknown parameter: {path}", code="parameter_unknown", param=path)
    for name in spec:
        if name.endswith("!") and given.get(name[:-1]) in (None, ""):
            path = _path(prefix, name[:-1])
            raise Refused(f"Missing required param: {path}.", code="parameter_missing", param=path)
    return {name: _value(value, known[name], _path(prefix, name)) for name, value in given.items()}


def _value(value: Any, checker: Any, path: str) -> Any:
    if isinstance(checker, list):
        return _array(value, checker[0], path)
    if isinstance(checker, dict):
        if value == "":
            return None
        if not isinstance(value, dict):
            raise Refused("Invalid object", param=path)
        return check(value, checker, path)
    if checker is metadata:
        return metadata(value, path)
    if not isinstance(value, str):
        raise Refused(f"Invalid string: {value}", code="parameter_invalid_string", param=path)
    return checker(value, path)


def _array(value: Any, checker: Any, path: str) -> list[Any]:
    if value == "":
        return []
    if not isinstance(value, dict) or not all(index.isdigit() for index in value):
        raise Refused("Invalid array", param=path)
    return [_value(value[index], checker, f"{path}[{index}]") for index in sorted(value, key=int)]


def _path(prefix: str, name: str) -> str:
    return f"{prefix}[{name}]" if prefix else name


def string(value: str, path: str) -> str | None:
    """Any text; an empty one unsets the field."""
    if len(value) > 5000:
        raise Refused("Invalid string: too long", code="parameter_invalid_string", param=path)
    return value or None


def integer(value: str, path: str) -> int:
    """A whole number."""
    if not re.fullmatch(r"-?\d{1,18}", value):
        raise Refused(f"Invalid integer: {value}", code="parameter_invalid_integer", param=path)
    return int(value)


def natural(value: str, path: str) -> int:
    """A whole number that is not negative."""
    number = integer(value, path)
    if number < 0:
        raise Refused("This value must be greater than or equal to 0.", code="parameter_invalid_integer", param=path)
    return number


def page_size(value: str, path: str) -> int:
    """How many objects a list may hold."""
    number = integer(value, path)
    if not 1 <= number <= 100:
        raise Refused("This value must be between 1 and 100.", code="parameter_invalid_integer", param=path)
    return number


def boolean(value: str, path: str) -> bool:
    """`true` or `false`."""
    if value not in ("true", "false"):
        raise Refused(f"Invalid boolean: {value}", param=path)
    return value == "true"


def address(value: str, path: str) -> str:
    """A URL that a browser can be redirected to."""
    if not re.match(r"https?://[^\s/]+", value):
        raise Refused("Not a valid URL", code="url_invalid", param=path)
    return value


def email(value: str, path: str) -> str | None:
    """An e-mail address, as loosely as Stripe reads it."""
    if value and not re.fullmatch(r"[^@\s]+@[^@\s]+", value):
        raise Refused(f"Invalid email address: {value}", code="email_invalid", param=path)
    return value or None


def one_of(*allowed: str) -> Checker:
    """One of a fixed set of words."""

    def checked(value: str, path: str) -> str:
        if value not in allowed:
            raise Refused(f"Invalid {path}: must be one of {', '.join(allowed)}", param=path)
        return value

    return checked


def metadata(value: Any, path: str) -> dict[str, str]:
    """At most 50 keys of 40 characters, with values of 500; an empty string clears all."""
    if value == "":
        return {"": ""}
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise Refused("Invalid object", param=path)
    if len(value) > 50:
        raise Refused("You cannot have more than 50 metadata keys.", param=path)
    for name, text in value.items():
        if len(name) > 40 or len(text) > 500:
            raise Refused(f"Metadata is too long: {name}", param=f"{path}[{name}]")
    return value


def merged(old: dict[str, str], new: dict[str, str] | None) -> dict[str, str]:
    """Stripe's update of metadata: keys are merged, an empty value removes one."""
    if new is None:
        return old
    if new == {"": ""}:
        return {}
    return {name: text for name, text in {**old, **new}.items() if text}
