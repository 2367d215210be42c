"""Secrets for a laptop: made once, kept under `var/`, never committed. Production sets its own."""

import os
import secrets
from pathlib import Path


def local_secret(folder: Path, name: str) -> str:
    """Return the secret kept in `folder/name`, making it on first use.

    The file is published by a hard link: if several processes start at once, one wins and the others read its whole
    secret, never a half-written one.
    """
    path = folder / name
    try:
        return path.read_text()
    except FileNotFoundError:
        pass
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = folder / f".{name}.{os.getpid()}"
    draft.touch(mode=0o600)
    draft.write_text(secrets.token_urlsafe(48))
    try:
        path.hardlink_to(draft)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    return path.read_text()
