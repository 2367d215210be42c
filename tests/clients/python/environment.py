"""An environment with what the client, its command line and its MCP server need, without the client.

It is not the suite's: `mcp` brings `python-multipart`, whose package `multipart` hides the product's module of that name.
"""

import fcntl
import hashlib
import subprocess
import sys
from pathlib import Path

from tests.conftest import skip_or_fail
from tests.server import ROOT

PACKAGE = ROOT / "clients/python"
REQUIREMENTS = ROOT / "requirements-client.txt"
FOLDER = PACKAGE / ".test-venv"


def require_environment() -> Path:
    """Its interpreter. It is made once, and again when what is pinned has changed."""
    return make_environment(FOLDER, REQUIREMENTS)


def make_environment(folder: Path, requirements: Path) -> Path:
    """The interpreter of an environment in `folder` with what `requirements` pin."""
    stamp, wanted = folder / ".stamp", hashlib.sha256(requirements.read_bytes()).hexdigest()
    with requirements.open() as lock:
        # Tests in other processes may need it at the same time.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != wanted:
            _make(folder, requirements)
            stamp.write_text(wanted)
    return folder / "bin/python"


def _make(folder: Path, requirements: Path) -> None:
    # Without a pip of its own: the suite's installs there.
    run([sys.executable, "-m", "venv", "--clear", "--without-pip", str(folder)])
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin/python"), "install", "-q", "--no-compile"]
    run([*pip, "--require-hashes", "-r", str(requirements)])


def run(command: list[str]) -> None:
    """Run a step of the installation."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    if done.returncode:
        skip_or_fail(f"the client could not be installed: {done.stderr[-800:]}")
