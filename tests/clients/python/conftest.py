"""A product with a stand-in for the model, and a command line to type."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.server import ROOT
from tests.services.deployment import Deployment

SOURCES = ROOT / "clients/python/src"
GROUP = "python_client"


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One worker has the product."""
    for item in items:
        if "product" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group(GROUP))


@pytest.fixture(scope="session")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """A running product."""
    deployment = Deployment(tmp_path_factory.mktemp("python-client"), model_seconds=0.005, ANONYMOUS_IMAGES_PER_DAY="1")
    try:
        yield deployment.start()
    finally:
        deployment.stop()


@pytest.fixture
def account(product: Deployment) -> dict[str, str]:
    """A customer with 1000 credits."""
    return product.call("open_account", included=1000)


@dataclass
class Typed:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[dict]:
        """Standard output, a line of JSON each."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def summary(self) -> dict:
        """The last line."""
        return self.lines[-1]["summary"]


class CommandLine:
    """Runs `rmbg`, in a process of its own and a folder of its own."""

    def __init__(self, folder: Path, url: str, key: str | None) -> None:
        self.folder = folder
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("REMBG_")},
            "PYTHONPATH": os.pathsep.join([str(SOURCES), *filter(None, [os.environ.get("PYTHONPATH")])]),
            "XDG_CONFIG_HOME": str(folder / "config"), "REMBG_BASE_URL": url,
            "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
            **({"REMBG_API_KEY": key} if key else {}),
        }  # fmt: skip

    def start(self, *arguments: str) -> "subprocess.Popen[bytes]":
        """Begin a command."""
        command = [sys.executable, "-m", "rembg_client", *arguments]
        return subprocess.Popen(
            command, cwd=self.folder, env=self.environment,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def __call__(self, *arguments: str, given: bytes = b"") -> Typed:
        """Run a command to its end."""
        with self.start(*arguments) as process:
            out, err = process.communicate(given, timeout=300)
        return Typed(process.returncode, out.decode(errors="replace"), err.decode())

    def interrupt(self, process: "subprocess.Popen[bytes]", with_signal: int = signal.SIGINT) -> Typed:
        """Ctrl-C, or a harder end."""
        process.send_signal(with_signal)
        out, err = process.communicate(timeout=60)
        return Typed(process.returncode, out.decode(), err.decode())


@pytest.fixture
def rmbg(tmp_path: Path, product: Deployment, account: dict[str, str]) -> CommandLine:
    """The command line of a customer."""
    return CommandLine(tmp_path, product.url, account["key"])
