"""Node packages for the tests, installed by npm from its registry."""

import fcntl
import shutil
import subprocess
from pathlib import Path

from tests.conftest import skip_or_fail


def require_packages(folder: Path, *command: str, probe: str) -> None:
    """Run npm's `command` in `folder` unless `node_modules/<probe>` exists; skip the test where that is not possible."""
    if not shutil.which("node") or not shutil.which("npm"):
        skip_or_fail("there is no Node")
    # Tests in other processes may need the same packages at the same time.
    with (folder / "package.json").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (folder / "node_modules" / probe).exists():
            return
        install = ["npm", *command, "--no-audit", "--no-fund", "--ignore-scripts"]
        done = subprocess.run(install, cwd=folder, capture_output=True, text=True, timeout=300)
    if done.returncode:
        skip_or_fail(f"npm could not install what {folder.name} needs: {done.stderr[-500:]}")


def require_official_client() -> Path:
    """The public service's official client."""
    here = Path(__file__).parent
    require_packages(here, "install", "--no-package-lock", probe="@remove-background-ai/rembg.js")
    return here / "node_modules/@remove-background-ai/rembg.js"
