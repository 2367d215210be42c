"""The package as pip installs it, and the examples of its README."""

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from config import __version__
from tests.clients.python.environment import require_environment
from tests.examples import EXHAUSTIVE
from tests.server import ROOT

PACKAGE = ROOT / "clients/python"
EXAMPLES = re.findall(r"^```python\n(.*?)^```", (PACKAGE / "README.md").read_text(), re.MULTILINE | re.DOTALL)
SAID = [
    r"800 600 1\n",
    r"(\d+%\n)*100%\nimage/webp \d+\n",
    r"100 400\n",
    r"(\{.*\}\n)+photo.jpg done None\nphoto.jpg done None\n",
    r"cutout 400 image/png\nwhite 400 image/jpeg\nmask 400 image/png\n",
    r"400 validation_error [\w-]+\nw .*\nangle .*\n",
    r"\w+ \d+\n",
]


def run(*command: str, cwd: Path = ROOT, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `pip install` makes of the sources, a copy of them: building leaves files behind."""
    folder = tmp_path_factory.mktemp("wheel")
    parts = [str(PACKAGE / name) for name in ("src", "pyproject.toml", "README.md", "LICENSE")]
    run("cp", "-r", *parts, str(folder))
    pip = [sys.executable, "-m", "pip", "--python", str(require_environment())]
    run(*pip, "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(folder / "dist"), str(folder))
    [found] = (folder / "dist").glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment with the package: a fresh one, by pip and with dependencies, or unpacked next to the suite's."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("REMBG_", "PYTHONPATH"))}
    folder = tmp_path_factory.mktemp("installed")
    if EXHAUSTIVE:
        run(sys.executable, "-m", "venv", str(folder))
        run(str(folder / "bin/pip"), "install", "-q", str(PACKAGE))
        return {**clean, "PYTHON": str(folder / "bin/python"), "PATH": f"{folder / 'bin'}:{clean['PATH']}"}
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return {**clean, "PYTHON": sys.executable, "PYTHONPATH": str(folder)}


def test_the_wheel_has_the_package_and_nothing_else(wheel: Path):
    assert wheel.name == f"rembg_client-{__version__}-py3-none-any.whl", "one version for all: see docs/releases.md"
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        metadata = archive.read(next(name for name in names if name.endswith("METADATA"))).decode()
    info = f"rembg_client-{__version__}.dist-info"
    sources = {path.relative_to(PACKAGE / "src").as_posix() for path in (PACKAGE / "src").rglob("*.py")}
    about = ("METADATA", "WHEEL", "RECORD", "entry_points.txt", "top_level.txt", "licenses/LICENSE")
    assert names == sources | {"rembg_client/py.typed"} | {f"{info}/{name}" for name in about}
    assert re.findall(r"^Requires-Dist: (\S+?)[<>;].*$", metadata, re.MULTILINE) == ["httpx", "keyring", "rich", "mcp"]


def test_without_extras_only_httpx_is_imported(installed):
    program = (
        "import sys; import rembg_client, rembg_client.cli.main; "
        "print(*sorted({'PIL', 'numpy', 'rich', 'keyring', 'mcp', 'pydantic'} & set(sys.modules)))"
    )
    # Rich comes along with httpx's own command line only.
    assert run(installed["PYTHON"], "-c", program, env=installed).split() in ([], ["rich"])
    assert run(installed["PYTHON"], "-m", "rembg_client", "--version", env=installed) == f"rmbg {__version__}\n"


def test_the_readme_has_an_example_for_each_expectation():
    assert len(EXAMPLES) == len(SAID)


@pytest.mark.parametrize("number", range(len(SAID)))
def test_an_example_of_the_readme(number, installed, product, account, tmp_path):
    Image.new("RGB", (400, 300), "orange").save(tmp_path / "photo.jpg")
    environment = {**installed, "REMBG_API_KEY": account["key"], "REMBG_BASE_URL": product.url}
    (tmp_path / "example.py").write_text(EXAMPLES[number])
    assert re.fullmatch(SAID[number], run(installed["PYTHON"], "example.py", cwd=tmp_path, env=environment))
