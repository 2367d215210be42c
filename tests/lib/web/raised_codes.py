"""Finds the errors that the source raises, without running it: codes, bare statuses, and exceptions with a translation."""

import ast
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent.parent
APPS = ("accounts", "billing", "config", "imaging", "lib", "website")
# What is called with a code, and the position of that argument.
TAKES_CODE = {"ApiError": 0, "InvalidValue": 0, "Problem": 1, "make_problem": 1, "field_problem": 1, "fail": 1}
TAKES_STATUS = ("from_status", "server_error", "Refused")


@dataclass
class Found:
    """`codes` and `statuses` are literals in the source; `unclear` are other expressions in place of a code.

    `defined`, `raised` and `translated` are names of classes: all that there are, those that a `raise` names, and those that
    are registered with `register_translation`.
    """

    codes: set[str] = field(default_factory=set)
    statuses: set[int] = field(default_factory=set)
    unclear: set[str] = field(default_factory=set)
    defined: set[str] = field(default_factory=set)
    raised: set[str] = field(default_factory=set)
    translated: set[str] = field(default_factory=set)


def sources() -> list[Path]:
    """The modules of the product."""
    return sorted(path for app in APPS for path in (ROOT / app).glob("**/*.py") if "migrations" not in path.parts)


def raised_in(*paths: Path) -> Found:
    """What these modules raise."""
    found = Found()
    for path in paths:
        nodes = _nodes(path)
        found.defined |= {node.name for node in nodes if isinstance(node, ast.ClassDef)}
        found.raised |= {_name(node.exc) for node in nodes if isinstance(node, ast.Raise) and node.exc}
        for name, arguments in [(_name(node), node.args) for node in nodes if isinstance(node, ast.Call)]:
            if name == "register_translation" and arguments:
                found.translated.add(_name(arguments[0]))
            if name in TAKES_CODE and len(arguments) > TAKES_CODE[name]:
                _note(found, arguments[TAKES_CODE[name]])
            if name in TAKES_STATUS and arguments:
                status = getattr(arguments[0], "value", None)
                found.statuses |= {status} if isinstance(status, int) else set()
    return found


@cache
def _nodes(path: Path) -> list[ast.AST]:
    """The definitions of classes, raises and calls in a module."""
    tree = ast.parse(path.read_text())
    return [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef | ast.Raise | ast.Call)]


def _name(expression: ast.expr) -> str:
    """The last part of a name, or of what a call calls; empty for anything else."""
    if isinstance(expression, ast.Call):
        expression = expression.func
    return expression.attr if isinstance(expression, ast.Attribute) else getattr(expression, "id", "")


def _note(found: Found, argument: ast.expr) -> None:
    branches = [argument.body, argument.orelse] if isinstance(argument, ast.IfExp) else [argument]
    for branch in branches:
        if isinstance(branch, ast.Constant):
            found.codes.add(str(branch.value))
        else:
            found.unclear.add(ast.unparse(branch))
