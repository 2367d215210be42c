"""Finds the error codes and bare statuses that the source raises, without running it."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent.parent
APPS = ("accounts", "billing", "config", "imaging", "lib", "website")
# What is called with a code, and the position of that argument.
TAKES_CODE = {"ApiError": 0, "InvalidValue": 0, "Problem": 1, "make_problem": 1, "field_problem": 1, "fail": 1}
TAKES_STATUS = ("from_status", "server_error", "Refused")


@dataclass
class Found:
    """`codes` and `statuses` are literals in the source; `unclear` are other expressions in place of a code."""

    codes: set[str] = field(default_factory=set)
    statuses: set[int] = field(default_factory=set)
    unclear: set[str] = field(default_factory=set)


def sources() -> list[Path]:
    """The modules of the product."""
    return sorted(path for app in APPS for path in (ROOT / app).glob("**/*.py") if "migrations" not in path.parts)


def raised_in(*paths: Path) -> Found:
    """What these modules raise."""
    found = Found()
    for path in paths:
        for name, arguments in _calls(path.read_text()):
            if name in TAKES_CODE and len(arguments) > TAKES_CODE[name]:
                _note(found, arguments[TAKES_CODE[name]])
            if name in TAKES_STATUS and arguments:
                status = getattr(arguments[0], "value", None)
                found.statuses |= {status} if isinstance(status, int) else set()
    return found


def _calls(source: str) -> Iterator[tuple[str, list[ast.expr]]]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            function = node.func
            name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
            yield name, node.args


def _note(found: Found, argument: ast.expr) -> None:
    branches = [argument.body, argument.orelse] if isinstance(argument, ast.IfExp) else [argument]
    for branch in branches:
        if isinstance(branch, ast.Constant):
            found.codes.add(str(branch.value))
        else:
            found.unclear.add(ast.unparse(branch))
