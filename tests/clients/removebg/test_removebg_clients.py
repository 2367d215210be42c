"""The public clients of remove.bg's API, unmodified, against the running product."""

import base64
import io
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.clients.npm import require_packages
from tests.clients.python.environment import make_environment
from tests.clients.removebg.proxy import Proxy
from tests.conftest import run_folder
from tests.hosts import Host, answer, make_certificate
from tests.server import ROOT, ProductServer

HERE = Path(__file__).parent
PHOTO = ROOT / "imaging/static/imaging/samples/astronaut.jpg"
# The photograph has 512 x 512 pixels, which is more than a preview.
PREVIEW, WHOLE = (500, 500), (512, 512)

pytestmark = [pytest.mark.node, pytest.mark.xdist_group("removebg_clients")]


@pytest.fixture(scope="module")
def picture_host() -> Iterator[Host]:
    """A web server with the photograph, which customers of the product may name."""
    host = Host(lambda path: [answer(PHOTO.read_bytes(), "Content-Type: image/jpeg")])
    yield host
    host.stop()


@pytest.fixture(scope="module")
def picture_url(picture_host) -> str:
    return f"http://127.0.0.1:{picture_host.port}/photo.jpg"


@pytest.fixture(scope="module")
def product(tmp_path_factory, picture_host) -> Iterator[ProductServer]:
    """The product under remove.bg's host name, with the real model."""
    mattes = run_folder(tmp_path_factory) / "mattes"
    mattes.mkdir(exist_ok=True)
    environment = {
        "REMEMBERED_MATTES": str(mattes), "ALLOWED_HOSTS": "api.remove.bg,127.0.0.1",
        "OUTBOUND_ALLOWED_NETWORKS": "127.0.0.0/8", "IMAGE_URL_PORTS": str(picture_host.port),
    }  # fmt: skip
    folder = tmp_path_factory.mktemp("product")
    running = ProductServer(folder, environment, application="tests.remembering_wsgi:application").start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def key(product) -> str:
    return product.issue_key("caller@example.com")


def outcomes_of(command: list[str], environment: dict[str, str], folder: Path = HERE) -> dict[str, dict[str, Any]]:
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return {outcome["name"]: outcome for outcome in map(json.loads, done.stdout.splitlines())}


def opened(data: str | bytes) -> Image.Image:
    image = Image.open(io.BytesIO(base64.b64decode(data) if isinstance(data, str) else data))
    image.load()
    return image


def assert_cutout(image: Image.Image) -> None:
    """The person is there, the background is not."""
    alpha = np.asarray(image.convert("RGBA").getchannel("A").resize(WHOLE))
    assert alpha[100:150, 190:230].mean() > 250
    assert alpha[5:60, 400:500].mean() < 5


# --- Node


@pytest.fixture(scope="module")
def node(product, key, picture_url) -> dict[str, dict[str, Any]]:
    """The outcome of each case of `clients.cjs`."""
    require_packages(HERE, "install", "--no-package-lock", probe="remove.bg")
    command = ["node", "--require", "./preload.cjs", "clients.cjs", key, str(PHOTO), picture_url]
    return outcomes_of(command, {"PRODUCT": product.url, "NODE_NO_WARNINGS": "1"})


@pytest.mark.parametrize("name", ["file", "url"])
def test_npm_remove_bg(node, name):
    outcome = node[name]
    assert "error" not in outcome, outcome["error"]
    image = opened(outcome["base64img"])
    assert (image.format, image.size) == ("PNG", PREVIEW)
    assert_cutout(image)
    assert outcome["creditsCharged"] == "0.25"
    assert (outcome["resultWidth"], outcome["resultHeight"]) == ("500", "500")
    assert outcome["detectedType"] == {"file": "other", "url": "person"}[name]
    assert int(outcome["rateLimit"]) > int(outcome["rateLimitRemaining"]) >= 0
    assert int(outcome["rateLimitReset"]) > 1_700_000_000


def test_npm_remove_bg_with_options(node):
    outcome = node["fileWithOptions"]
    assert "error" not in outcome, outcome["error"]
    image = opened(outcome["base64img"])
    assert image.format == "JPEG"
    assert outcome["creditsCharged"] == "1"
    assert image.width <= WHOLE[0] + 20
    assert opened(node["base64"]["base64img"]).size == PREVIEW


def test_npm_remove_bg_shows_the_errors(node):
    [wrong_key] = node["wrongKey"]["error"]
    assert (wrong_key["code"], wrong_key["title"]) == ("auth_failed", "API Key invalid")
    [no_image] = node["notAnImage"]["error"]
    assert (no_image["code"], no_image["title"]) == ("invalid_file_type", "Invalid file type")


@pytest.mark.parametrize("name", ["fetch", "axiosArrayBuffer", "axiosJson"])
def test_public_scripts(node, name):
    outcome = node[name]
    assert "error" not in outcome, outcome["error"]
    assert outcome["type"] == ("application/json" if name == "axiosJson" else "image/png")
    assert_cutout(opened(outcome["data"]))


def test_a_script_without_a_key(node):
    assert node["fetchWithoutKey"]["error"] == "403: Missing API Key"


# --- Python


@pytest.fixture(scope="module")
def python(product, key, picture_url, tmp_path_factory) -> Iterator[dict[str, dict[str, Any]]]:
    """The outcome of each case of `python_clients.py`, through the proxy."""
    interpreter = make_environment(HERE / ".test-venv", ROOT / "requirements-removebg.txt")
    folder = tmp_path_factory.mktemp("clients")
    certificate, tls = make_certificate(folder, "api.remove.bg")
    proxy = Proxy("api.remove.bg", tls, product.port)
    environment = {
        "HTTPS_PROXY": proxy.url, "REQUESTS_CA_BUNDLE": str(certificate), "NO_PROXY": "127.0.0.1", "REMOVE_BG_API_KEY": key,
        "PYTHONPATH": "", "PYTHONWARNINGS": "",
    }  # fmt: skip
    command = [str(interpreter), str(HERE / "python_clients.py"), key, str(PHOTO), picture_url, str(folder)]
    try:
        yield outcomes_of(command, environment, folder)
        assert not proxy.refused
    finally:
        proxy.stop()


@pytest.mark.parametrize(
    ("name", "size", "format"),
    [
        ("removebg file", PREVIEW, "PNG"),
        ("removebg url", PREVIEW, "PNG"),
        ("removebg base64", WHOLE, "JPEG"),
        ("rembgpy url", None, "PNG"),
        ("rembgpy base64", WHOLE, "JPEG"),
        ("remove-bg-api", WHOLE, "PNG"),
        ("removebg-cli file", PREVIEW, "PNG"),
        ("removebg-cli url", None, "WEBP"),
        ("removebgplus file", WHOLE, "PNG"),
        ("removebgplus url", WHOLE, "PNG"),
    ],
)
def test_clients_of_pypi(python, name, size, format):
    outcome = python[name]
    assert "error" not in outcome, outcome["error"]
    image = opened(outcome["data"])
    assert image.format == format
    assert size in (None, image.size)
    if size and format == "PNG":
        assert_cutout(image)


def test_the_account_by_a_client(python):
    assert "error" not in python["removebg-cli account"]


def test_what_a_client_does_wrong_is_said(python):
    """removebgplus sends base64 in a field that does not exist, and removebg the wrong key."""
    assert "missing_source" in python["removebgplus base64"]["error"]
    assert "403 Client Error" in python["removebg wrong key"]["error"]


# --- curl


def test_curl_as_the_documentation_of_remove_bg_shows_it(product, key, tmp_path):
    target = tmp_path / "no-bg.png"
    command = [
        "curl", "-sS", "--fail", "-H", f"X-API-Key: {key}", "-F", f"image_file=@{PHOTO}", "-F", "size=auto",
        "-f", f"{product.url}/v1.0/removebg", "-o", str(target), "-D", "-",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert_cutout(opened(target.read_bytes()))
    account = ["curl", "-sS", "-H", f"X-API-Key: {key}", f"{product.url}/v1.0/account"]
    text = subprocess.run(account, capture_output=True, text=True, timeout=100).stdout
    left = json.loads(text)["data"]["attributes"]["credits"]["total"]
    shown = f'{{"data":{{"attributes":{{"credits":{{"subscription":{left},"payg":0,"enterprise":0,"total":{left}}}'
    assert text == f'{shown},"api":{{"free_calls":0,"sizes":"all"}}}}}}}}'
    wrong = subprocess.run([*command[:5], "X-API-Key: wrong", *command[6:]], capture_output=True, text=True, timeout=100)
    assert wrong.returncode == 22
