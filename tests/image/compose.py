"""What compose.yaml declares for our own processes."""

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from tests.server import ROOT

DEFAULT_GRACE_SECONDS = 10  # Docker's own
VARIABLE = re.compile(r"\$(?:\$|\{(?P<name>\w+)(?::-(?P<default>[^}]*)|:\?[^}]*)?\})")


@dataclass(frozen=True, slots=True)
class Service:
    """A process: its command's words (None: the image's), its environment, its health check's command, its volumes."""

    command: list[str] | None
    environment: dict[str, str]
    health: list[str] | None
    volumes: dict[str, str]
    grace_seconds: float


def read_services(variables: Mapping[str, str]) -> dict[str, Service]:
    """The services that run our image, with the variables of `.env` substituted. KeyError for a missing one."""
    return {name: _service(each, variables) for name, each in _described().items()}


def read_build_arguments(variables: Mapping[str, str]) -> dict[str, str]:
    """What `docker compose build` passes to the Dockerfile."""
    return {name: _fill(value, variables) for name, value in _described()["web"]["build"]["args"].items()}


def _described() -> dict[str, Any]:
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    return {name: each for name, each in services.items() if "build" in each}


def _fill(text: str, variables: Mapping[str, str]) -> str:
    return VARIABLE.sub(lambda match: _value(match, variables), text)


def _service(described: Mapping[str, Any], variables: Mapping[str, str]) -> Service:
    def fill(text: str) -> str:
        return _fill(text, variables)

    check = described.get("healthcheck", {})
    grace = re.fullmatch(r"(\d+)s", described.get("stop_grace_period", f"{DEFAULT_GRACE_SECONDS}s"))
    assert grace, "seconds alone are expected"
    return Service(
        command=shlex.split(fill(described["command"])) if "command" in described else None,
        environment={name: fill(value) for name, value in described["environment"].items()},
        health=[fill(word) for word in check["test"]] if "test" in check else None,
        volumes=dict(each.split(":")[:2] for each in described.get("volumes", ())),
        grace_seconds=float(grace[1]),
    )


def _value(match: re.Match[str], variables: Mapping[str, str]) -> str:
    name, default = match["name"], match["default"]
    if name is None:
        return "$"
    return variables[name] if default is None else variables.get(name) or default


def health_command(test: list[str]) -> list[str]:
    """The words of a health check: `["CMD", …]` or `["CMD-SHELL", line]`."""
    kind, *words = test
    return ["/bin/sh", "-c", *words] if kind == "CMD-SHELL" else words
