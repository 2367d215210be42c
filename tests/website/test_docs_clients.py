"""The samples on `/docs/python`, `/docs/command-line` and `/docs/mcp`, as a reader copies them, run against the product."""

import json
import os
import re
import subprocess
import sys
import zipfile
from html import unescape
from pathlib import Path

import pytest
import rembg_client
import requests
from PIL import Image
from rembg_client.cli.arguments import make_parser

from billing.credits import ledger
from imaging.callbacks.secrets import get_secret
from tests.hosts import networks
from tests.imaging.callbacks.receiver import ended_batch, try_now
from tests.server import ROOT, free_port
from tests.website.test_docs_callbacks import Receiver, wait_for
from tests.website.test_docs_samples import Samples

SOURCES = ROOT / "clients/python/src"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(SOURCES)}


@pytest.fixture(scope="module")
def samples(server, server_key) -> dict[str, str]:
    """Every sample with the key filled in, as the page's script does."""
    found: dict[str, str] = {}
    for page in ("python", "command-line"):
        found |= Samples(requests.get(f"{server.url}/docs/{page}", timeout=30).text).found
    return {name: code.replace("YOUR_API_KEY", server_key) for name, code in found.items()}


@pytest.fixture
def folder(tmp_path: Path, photo: bytes, small_png: bytes) -> Path:
    """A reader's working folder, with the command `rmbg` in its path."""
    (tmp_path / "photos/shoes").mkdir(parents=True)
    for name in ("photo.jpg", "photos/one.jpg"):
        (tmp_path / name).write_bytes(photo)
    (tmp_path / "photos/shoes/two.png").write_bytes(small_png)
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        archive.writestr("shoes/red.png", small_png)
    command = tmp_path / "bin/rmbg"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m rembg_client "$@"\n')
    command.chmod(0o755)
    return tmp_path


def run(command: list[str], folder: Path) -> str:
    own = {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "XDG_CONFIG_HOME": str(folder / "config")}
    environment = {**ENVIRONMENT, **own, "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def size_of(path: Path) -> tuple[str | None, tuple[int, int]]:
    with Image.open(path) as image:
        return image.format, image.size


def test_a_cutout(samples, folder):
    assert run([sys.executable, "-c", samples["client-cutout-python"]], folder) == "800 x 800 1\n"
    assert size_of(folder / "cutout.png") == ("PNG", (800, 800))


def test_many_calls_at_once(samples, folder):
    assert run([sys.executable, "-c", samples["client-async-python"]], folder) == "[512, 200]\n"
    assert size_of(folder / "small.webp") == ("WEBP", (200, 200))


def test_a_batch(samples, folder):
    told = run([sys.executable, "-c", samples["client-batch-python"]], folder).splitlines()
    assert told[-3:] == ["2", "photo.jpg done", "shoes/red.png done"]
    with zipfile.ZipFile(folder / "cutouts.zip") as archive:
        assert archive.namelist() == ["photo.png", "shoes/red.png"]


def test_errors(samples, folder):
    told = run([sys.executable, "-c", samples["client-errors-python"]], folder)
    assert re.fullmatch(r"400 validation_error [\w-]+\nw .*\nangle .*\n", told)
    assert not (folder / "cutout.webp").exists()


def test_log_in_and_usage(samples, folder):
    told = run(["sh", "-ec", samples["cli-login-cli"]], folder)
    assert "plan Premium-20000" in told
    assert re.search(r"^credits left +[\d.]+$", told, re.MULTILINE)


def test_files_and_folders(samples, folder):
    run(["sh", "-ec", samples["cli-remove-cli"]], folder)
    assert size_of(folder / "cutouts/photo.webp") == ("WEBP", (512, 512))
    assert size_of(folder / "cutouts/shoes/two.png") == ("PNG", (8, 6))
    assert size_of(folder / "shop/one-white.jpg") == ("JPEG", (1000, 1000))


def test_scripts(samples, folder):
    run(["sh", "-ec", samples["cli-scripts-cli"]], folder)
    assert json.loads((folder / "result.jsonl").read_text().splitlines()[-1])["summary"]["done"] == 2
    with Image.open(folder / "mask.png") as mask:
        assert (mask.format, mask.mode, mask.size) == ("PNG", "L", (512, 512))


@pytest.mark.django_db
def test_a_callback_is_verified(client, user, settings, tmp_path):
    code, port = Samples(client.get("/docs/python").content.decode()).found["client-callback-python"], free_port()
    settings.OUTBOUND_ALLOWED_NETWORKS, settings.CALLBACK_PORTS = networks("127.0.0.1"), [port]
    environment = {**ENVIRONMENT, "CALLBACK_SECRET": get_secret(ledger.get_account(user)).secret}
    command = [sys.executable, "-c", code.replace("8080", str(port))]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        wait_for(port, process)
        receiver = Receiver(port, process)
        batch = ended_batch(user, receiver.url, done=2, failed=1)
        try_now()
        assert receiver.said() == f"{batch.pk} finished 2"
        assert requests.post(receiver.url, "{}", timeout=10).status_code == 400
        process.kill()


def test_every_error_class_of_the_page_is_one_of_the_client(client, db):
    table = client.get("/docs/python").content.decode().split("<table")[1].split("</table>")[0]
    names = re.findall(r'<th scope="row"><code>(\w+)</code>', table)
    assert len(names) == 7
    assert all(issubclass(getattr(rembg_client, name), rembg_client.RembgError) for name in names)


def test_the_settings_of_hosts_start_our_server(client, db):
    """They are JSON, and their arguments are ones that `rmbg mcp` takes."""
    html = client.get("/docs/mcp").content.decode()
    blocks = [unescape(re.sub("<[^>]+>", "", code)) for code in re.findall(r"<pre[^>]*><code>(.*?)</code>", html, re.DOTALL)]
    desktop, editor = (json.loads(code) for code in blocks if code.startswith("{"))
    for entry in (desktop["mcpServers"]["rmbg"], editor["servers"]["rmbg"]):
        assert entry["args"][:2] == ["-m", "rembg_client"]
        parsed = make_parser().parse_args(entry["args"][2:])
        assert (parsed.command, len(parsed.allow)) == ("mcp", 1)
        assert set(entry["env"]) == {"REMBG_BASE_URL", "REMBG_API_KEY"}
    [shell] = (code for code in blocks if code.startswith("rmbg mcp"))
    assert make_parser().parse_args(shell.split()[1:]).transport == "http"
