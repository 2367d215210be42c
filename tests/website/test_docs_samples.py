"""The samples on `/docs/samples`, as a reader copies them, run against the running product."""

import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
import requests
from PIL import Image

from tests.conftest import skip_or_fail

ROOT = Path(__file__).parent.parent.parent
CLIENT = ROOT / "clients/rembg.js"


class Samples(HTMLParser):
    """Collects the text of each sample by its panel's id, `task-language`."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: dict[str, str] = {}
        self.panel = ""
        self.in_code = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        if attributes.get("role") == "tabpanel":
            self.panel = attributes["id"] or ""
        self.in_code = self.in_code or (tag == "code" and bool(self.panel))

    def handle_endtag(self, tag: str) -> None:
        if tag == "code":
            self.panel, self.in_code = "", False

    def handle_data(self, data: str) -> None:
        if self.in_code:
            self.found[self.panel] = self.found.get(self.panel, "") + data


@pytest.fixture(scope="module")
def samples(server, server_key) -> dict[str, str]:
    """Every sample with the key filled in, as the page's script does."""
    found = Samples(requests.get(f"{server.url}/docs/samples", timeout=30).text).found
    assert all(server.url in code or "Host: " in code for code in found.values())
    return {name: code.replace("YOUR_API_KEY", server_key) for name, code in found.items()}


@pytest.fixture
def folder(tmp_path, photo) -> Path:
    """A reader's working folder, with a photo."""
    (tmp_path / "photo.jpg").write_bytes(photo)
    return tmp_path


def run(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def run_sample(samples: dict[str, str], name: str, folder: Path) -> str:
    """Run one sample with its language's interpreter and return what it printed."""
    code, language = samples[name], name.rpartition("-")[2]
    if language == "curl":
        return run(["sh", "-c", code], folder)
    if language == "python":
        return run([sys.executable, "-c", code], folder)
    link_client(folder)
    (folder / "sample.mjs").write_text(code)
    return run(["node", "sample.mjs"], folder)


def link_client(folder: Path) -> None:
    """Install our client as `npm install` does."""
    if not shutil.which("node"):
        skip_or_fail("there is no Node")
    if not (CLIENT / "dist").exists():
        pytest.skip("clients/rembg.js is not built here")
    name = json.loads((CLIENT / "package.json").read_text())["name"]
    link = folder / "node_modules" / name
    link.parent.mkdir(parents=True)
    link.symlink_to(CLIENT, target_is_directory=True)


@pytest.mark.parametrize("task", ["cutout", "retry"])
@pytest.mark.parametrize("language", ["curl", "python", "node"])
def test_a_cutout(samples, folder, task, language):
    run_sample(samples, f"{task}-{language}", folder)
    with Image.open(folder / "cutout.webp") as cutout:
        assert (cutout.format, cutout.mode, cutout.size) == ("WEBP", "RGBA", (512, 512))
        assert cutout.getpixel((250, 150))[3] > 250
        assert cutout.getpixel((450, 30))[3] < 5


@pytest.mark.parametrize("language", ["curl", "python", "node"])
def test_a_white_shop_image(samples, folder, language):
    run_sample(samples, f"white-background-{language}", folder)
    with Image.open(folder / "product.jpg") as product:
        assert (product.format, product.mode, product.size) == ("JPEG", "RGB", (1000, 1000))
        assert product.convert("L").getpixel((880, 60)) > 245


def test_usage_by_curl(samples, folder):
    usage = json.loads(run_sample(samples, "usage-curl", folder))
    assert usage["membership"] == "Premium-20000"
    assert usage["billingCycle"]["includedCredits"] == usage["credits"]


@pytest.mark.parametrize("language", ["python", "node"])
def test_usage_shows_what_is_left(samples, folder, language):
    assert re.fullmatch(r"Premium-20000: [\d.]+ credits left\n", run_sample(samples, f"usage-{language}", folder))


@pytest.mark.parametrize("language", ["curl", "python"])
def test_a_wrong_key_fails_with_the_text_of_the_error(samples, server_key, folder, language):
    code = samples[f"usage-{language}"].replace(server_key, server_key[:-1] + "!")
    command = ["sh", "-c", code] if language == "curl" else [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    assert "invalid api key" in done.stdout + done.stderr


@pytest.mark.parametrize("task", ["cutout", "white-background", "usage"])
def test_the_http_sample_is_a_request_that_the_server_understands(samples, server, photo, task):
    """Its text is sent unchanged, with the photo's bytes in place; only the length is added."""
    head, _, body = samples[f"{task}-http"].rstrip("\n").partition("\n\n")
    first, *lines = head.splitlines()
    method, path, _ = first.split(" ")
    headers = dict(line.split(": ", 1) for line in lines)
    assert headers.pop("Host") == server.url.removeprefix("http://")
    before, _, after = body.replace("\n", "\r\n").partition("(the bytes of photo.jpg)")
    data = before.encode() + (photo if after else b"") + after.encode()
    answer = requests.request(method, server.url + path, headers=headers, data=data or None, timeout=60)
    assert answer.status_code == 200, answer.text
    expected = {"cutout": "image/webp", "white-background": "image/jpeg", "usage": "application/json"}
    assert answer.headers["Content-Type"] == expected[task]


def run_php(samples: dict[str, str], task: str, folder: Path) -> str:
    """Run a sample with PHP, which needs its extension curl."""
    if not shutil.which("php") or "curl" not in run(["php", "-m"], folder).split():
        skip_or_fail("there is no PHP with curl: install php-cli and php-curl")
    (folder / "sample.php").write_text(samples[f"{task}-php"])
    return run(["php", "-d", "error_reporting=-1", "-d", "display_errors=stderr", "sample.php"], folder)


def test_a_cutout_with_php(samples, folder):
    assert run_php(samples, "cutout", folder) == ""
    with Image.open(folder / "cutout.webp") as cutout:
        assert (cutout.format, cutout.mode, cutout.size) == ("WEBP", "RGBA", (512, 512))


def test_a_white_shop_image_with_php(samples, folder):
    assert run_php(samples, "white-background", folder) == ""
    with Image.open(folder / "product.jpg") as product:
        assert (product.format, product.mode, product.size) == ("JPEG", "RGB", (1000, 1000))


def test_usage_with_php(samples, folder, server_key):
    assert re.fullmatch(r"Premium-20000: [\d.]+ credits left\n", run_php(samples, "usage", folder))
    wrong = {"usage-php": samples["usage-php"].replace(server_key, server_key[:-1] + "!")}
    assert run_php(wrong, "usage", folder) == "invalid api key"
