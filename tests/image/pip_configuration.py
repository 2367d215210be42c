"""This machine's pip configuration, for building an image: its index, its certificates, folders of wheels."""

import ast
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from urllib.parse import urlsplit


def volumes(file: Path) -> dict[str, str]:
    """What to mount for a build, by source. Writes the configuration to `file`, which may contain a password."""
    settings = _settings()
    sections: dict[str, dict[str, str]] = defaultdict(dict)
    for (section, name), value in settings.items():
        sections[section][name] = value
    file.touch(mode=0o600)
    lines = [
        f"[{section}]\n" + "".join(f"{name} = {value}\n" for name, value in own.items()) for section, own in sections.items()
    ]
    file.write_text("".join(lines))
    local = {path for value in settings.values() for word in value.split() if (path := _local_path(word))}
    return {str(file): "/etc/pip.conf", **{path: path for path in sorted(local)}}


def _settings() -> dict[tuple[str, str], str]:
    """By section and name. `pip config list` prints `global.cert='…'`, or `:env:.cert='…'` for a variable."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    found: dict[tuple[str, str], str] = {}
    # The environment's come first, and take precedence.
    for line in reversed(listed.splitlines()):
        name, _, value = line.partition("=")
        section, _, option = name.rpartition(".")
        found["global" if section == ":env:" else section, option] = " ".join(str(ast.literal_eval(value)).split())
    return found


def _local_path(word: str) -> str | None:
    """The file or folder on this machine that `word` names. An index's pages name files next to it."""
    path = Path(urlsplit(word).path).parent if word.startswith("file:") else Path(word)
    return str(path) if path.is_absolute() and path.exists() else None
