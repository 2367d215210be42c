"""What builds an image and runs its containers: buildah, or docker where there is no buildah."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.image import base, pip_configuration
from tests.server import ROOT

BUILD_SECONDS, COMMAND_SECONDS = 1800, 120
NAME = "background-removal-test"


def run(*command: str, seconds: float = COMMAND_SECONDS) -> str:
    """The standard output of `command`. Raises AssertionError with the end of its output if it fails."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=seconds)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


class Engine:
    """One image, `NAME`, and its containers. They use the machine's network, so that its services respond on loopback."""

    def build(self, arguments: Mapping[str, str]) -> None:
        """Build the image of the Dockerfile with these build arguments."""
        raise NotImplementedError

    def configuration(self) -> dict[str, Any]:
        """The image's own configuration, as Docker writes it: User, Cmd, Env, Healthcheck."""
        raise NotImplementedError

    def size(self) -> int:
        """Bytes of all layers, unpacked."""
        raise NotImplementedError

    def prepare(self, container: str) -> None:
        """Called once before the first `command` of a container."""

    def command(self, container: str, environment: Mapping[str, str], volumes: Mapping[str, str]) -> list[str]:
        """The command that starts `container` in the foreground, to be followed by the command to run in it."""
        raise NotImplementedError

    def terminate(self, pid: int) -> None:
        """Send SIGTERM to the process in the container that process `pid` started with `command`."""
        os.kill(pid, signal.SIGTERM)  # docker passes it on

    def inside(self, container: str, environment: Mapping[str, str]) -> list[str]:
        """The command that runs a second command in `container` while it runs."""
        raise NotImplementedError

    def remove(self) -> None:
        """Remove the image and its containers."""
        raise NotImplementedError


class Buildah(Engine):
    """Needs root. Everything is kept in a folder: the machine's other images are not visible, and nothing is left."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._buildah = ["buildah", "--root", str(folder / "storage"), "--runroot", str(folder / "run")]
        os.environ["BUILDAH_ISOLATION"] = "chroot"

    def build(self, arguments: Mapping[str, str]) -> None:
        """Use PYTHON_IMAGE as the base, or one made by debootstrap. pip is configured as on this machine."""
        python_image = os.environ.get("PYTHON_IMAGE") or base.make(self._buildah, self._folder / "base")
        volumes = pip_configuration.volumes(self._folder / "pip.conf")
        # Docker's format: the other one has no health check.
        options = ["--network", "host", "--format", "docker", "--tag", NAME]
        options += [f"--volume={source}:{target}:ro" for source, target in volumes.items()]
        options += [f"--build-arg={name}={value}" for name, value in {**arguments, "PYTHON_IMAGE": python_image}.items()]
        run(*self._buildah, "build", *options, ".", seconds=BUILD_SECONDS)

    def configuration(self) -> dict[str, Any]:
        inspected: dict[str, Any] = json.loads(run(*self._buildah, "inspect", "--type", "image", NAME))
        return dict(inspected["Docker"]["config"])

    def size(self) -> int:
        manifests = json.loads(run(*self._buildah, "images", "--json", NAME))
        number, unit = manifests[0]["size"].split()
        return int(float(number) * {"MB": 1e6, "GB": 1e9}[unit])

    def prepare(self, container: str) -> None:
        run(*self._buildah, "from", "--pull-never", "--name", container, NAME)

    def command(self, container: str, environment: Mapping[str, str], volumes: Mapping[str, str]) -> list[str]:
        options = ["--network", "host", "--cap-drop", "all", "--hostname", container]
        options += [f"--env={name}={value}" for name, value in environment.items()]
        options += [f"--volume={source}:{target}" for source, target in volumes.items()]
        return [*self._buildah, "run", *options, container, "--"]

    def terminate(self, pid: int) -> None:
        """buildah would kill it."""
        while Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"buildah"):
            children = [path.read_text().split() for path in Path(f"/proc/{pid}/task").glob("*/children")]
            (pid,) = (int(child) for of_thread in children for child in of_thread)
        os.kill(pid, signal.SIGTERM)

    def inside(self, container: str, environment: Mapping[str, str]) -> list[str]:
        return self.command(container, environment, {})

    def remove(self) -> None:
        run(*self._buildah, "rm", "--all")
        run(*self._buildah, "rmi", "--all", "--force")
        shutil.rmtree(self._folder)


class Docker(Engine):
    """Use the Dockerfile's base image, or PYTHON_IMAGE. The index is pip's default: `docker build` mounts nothing."""

    def build(self, arguments: Mapping[str, str]) -> None:
        python_image = os.environ.get("PYTHON_IMAGE")
        given = {**arguments, **({"PYTHON_IMAGE": python_image} if python_image else {})}
        options = [f"--build-arg={name}={value}" for name, value in given.items()]
        run("docker", "build", "--network", "host", "--tag", NAME, *options, ".", seconds=BUILD_SECONDS)

    def configuration(self) -> dict[str, Any]:
        return dict(json.loads(run("docker", "image", "inspect", NAME))[0]["Config"])

    def size(self) -> int:
        return int(json.loads(run("docker", "image", "inspect", NAME))[0]["Size"])

    def command(self, container: str, environment: Mapping[str, str], volumes: Mapping[str, str]) -> list[str]:
        options = [
            "--network",
            "host",
            "--cap-drop",
            "ALL",
            "--security-opt",
            "no-new-privileges:true",
            "--init",
            "--no-healthcheck",
        ]
        options += [f"--env={name}={value}" for name, value in {**environment, "HOSTNAME": container}.items()]
        options += [f"--volume={source}:{target}" for source, target in volumes.items()]
        return ["docker", "run", "--rm", "--name", container, *options, NAME]

    def inside(self, container: str, environment: Mapping[str, str]) -> list[str]:
        return ["docker", "exec", container]

    def remove(self) -> None:
        run("docker", "image", "rm", "--force", NAME)


def choose(folder: Path) -> Engine:
    """This machine's engine; it may use the new folder `folder`. Raises AssertionError if there is none."""
    if shutil.which("buildah"):
        return Buildah(folder)
    assert shutil.which("docker"), "neither buildah nor docker is installed; on Debian: apt-get install buildah debootstrap"
    return Docker()
