"""A base image for machines that reach Debian's archive but no image registry: Debian with Python."""

import shutil
import subprocess
from pathlib import Path

NAME = "localhost/debian-python"
SUITE = "bookworm"  # its Python is 3.11, the Dockerfile's
PACKAGES = "python3,python3-venv,ca-certificates"
SECONDS = 900
# Debian's slim images have none of this either.
LEFT_OUT = (
    "usr/share/doc",
    "usr/share/info",
    "usr/share/locale",
    "usr/share/man",
    "var/cache/apt",
    "var/lib/apt/lists",
    "var/log",
)


def make(buildah: list[str], folder: Path) -> str:
    """Make the image, in the new folder `folder` and with the command `buildah`. Returns its name. Needs root."""
    try:
        _call("debootstrap", "--variant=minbase", f"--include={PACKAGES}", SUITE, str(folder))
        (folder / "usr/bin/python").symlink_to("python3")
        for path in LEFT_OUT:
            shutil.rmtree(folder / path)
        container = _call(*buildah, "from", "scratch").strip()
        _call(*buildah, "add", container, str(folder), "/")
        _call(*buildah, "commit", "--rm", container, NAME)
    finally:
        # debootstrap leaves them mounted.
        for path in ("proc", "sys"):
            subprocess.run(["umount", str(folder / path)], stderr=subprocess.DEVNULL, check=False)
    shutil.rmtree(folder)
    return NAME


def _call(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return done.stdout
