"""Where `rmbg login` keeps a key: in the system's keyring, else in a file that only its owner may read."""

from __future__ import annotations

import contextlib
import json
import os
import stat
from pathlib import Path
from types import ModuleType
from typing import Any

from rembg_client.errors import InvalidInput, OutputFailed

SERVICE = "rmbg"


def config_file() -> Path:
    """The file of addresses, and of keys where there is no keyring."""
    home = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(home) / "rmbg" / "config.json"


def saved_base_url() -> str | None:
    """The server of the last login."""
    return _read().get("base_url")


def find_key(base_url: str) -> str | None:
    """The key of this server. A key is never sent to another."""
    keyring = _keyring()
    if keyring is not None:
        with contextlib.suppress(Exception):  # each backend raises errors of its kind
            if key := keyring.get_password(SERVICE, base_url):
                return str(key)
    key = _read().get("keys", {}).get(base_url)
    return str(key) if key else None


def save_key(base_url: str, key: str) -> str:
    """Keep a key, and remember its server. Returns where it is, for people."""
    config = _read()
    config["base_url"] = base_url
    place = "the system's keyring"
    if not _save_in_keyring(base_url, key):
        config.setdefault("keys", {})[base_url] = key
        place = str(config_file())
    _write(config)
    return place


def forget_key(base_url: str) -> None:
    """Remove a key from wherever it is."""
    keyring = _keyring()
    if keyring is not None:
        with contextlib.suppress(Exception):
            keyring.delete_password(SERVICE, base_url)
    config = _read()
    if config.get("keys", {}).pop(base_url, None):
        _write(config)


def _save_in_keyring(base_url: str, key: str) -> bool:
    keyring = _keyring()
    if keyring is None:
        return False
    try:
        keyring.set_password(SERVICE, base_url, key)
    except Exception:  # a locked or broken keyring must not keep anyone from logging in
        return False
    return True


def _keyring() -> ModuleType | None:
    try:
        import keyring
    except ImportError:
        return None
    # Without a desktop there is a backend that refuses everything, of priority 0.
    found: ModuleType = keyring
    return found if keyring.get_keyring().priority > 0 else None


def _read() -> dict[str, Any]:
    path = config_file()
    try:
        if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise InvalidInput(f"{path} may be read by others. Allow it to its owner alone: chmod 600 {path}")
        found = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise InvalidInput(f"{path} cannot be read: {error}") from error
    return found if isinstance(found, dict) else {}


def _write(config: dict[str, Any]) -> None:
    path = config_file()
    new = path.with_suffix(f".{os.getpid()}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Created with these rights: it is at no moment readable by others.
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:  # noqa: PTH123
            json.dump(config, file)
        new.replace(path)
    except OSError as error:
        raise OutputFailed(f"{path} could not be written: {error.strerror}") from error
