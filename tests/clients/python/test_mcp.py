"""The MCP server, driven by the official SDK's client over both transports."""

import json
import os
import subprocess
import time
from pathlib import Path

import pytest
import requests
from PIL import Image
from rembg_client.options import ROWS

from tests.clients.python.conftest import CommandLine
from tests.clients.python.environment import require_environment
from tests.conftest import encoded
from tests.server import free_port

HERE = Path(__file__).parent


class Assistant:
    """Someone who may use two folders."""

    def __init__(self, folder: Path, rmbg: CommandLine) -> None:
        self.folder, self.environment = folder, rmbg.environment
        self.python = str(require_environment())
        for name in ("pictures", "results", "elsewhere"):
            (folder / name).mkdir()
        (folder / "pictures/photo.png").write_bytes(encoded(Image.new("RGB", (40, 30), "orange")))
        (folder / "elsewhere/secret.png").write_bytes(encoded(Image.new("RGB", (4, 3))))
        (folder / "pictures/way-out").symlink_to(folder / "elsewhere", target_is_directory=True)
        (folder / "pictures/link.png").symlink_to(folder / "elsewhere/secret.png")
        allowed = [f"--allow={folder / name}" for name in ("pictures", "results")]
        self.command = [self.python, "-m", "rembg_client", "mcp", *allowed]

    def ask(self, *calls: tuple[str, dict], url: str = "") -> dict:
        """What the SDK's client gets."""
        where = ["http", url] if url else ["stdio", json.dumps(self.command)]
        command = [self.python, str(HERE / "mcp_session.py"), *where, json.dumps(calls)]
        done = subprocess.run(command, env=self.environment, cwd="/", capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture
def assistant(tmp_path, rmbg) -> Assistant:
    return Assistant(tmp_path, rmbg)


def remove(image: str, output: str, **more: object) -> tuple[str, dict]:
    return "remove_background", {"image": image, "output": output, **more}


def test_tools_are_listed_and_called_and_never_leave_their_folders(assistant, product, account):
    folder = assistant.folder
    told = assistant.ask(
        ("usage", {}),
        remove("photo.png", str(folder / "results/small.png"), w=20, bg_color="white"),
        remove("photo.png", str(folder / "results/small.png")),
        remove("photo.png", str(folder / "results/small.png"), overwrite=True, mask=True),
        # Wrong arguments.
        remove("photo.png", "x.png", w="wide"),
        remove("photo.png", "x.png", colour="red"),
        ("remove_background", {"image": "photo.png"}),
        remove("photo.png", "x.png", w=-5),
        remove("missing.png", "x.png"),
        # Outside of the folders: to write, to read, by links, and folders whose name only begins alike.
        remove("photo.png", "../elsewhere/x.png"),
        remove("photo.png", str(folder / "elsewhere/x.png")),
        remove("photo.png", "way-out/x.png"),
        remove("photo.png", str(folder / "results-of-others/x.png")),
        remove(str(folder / "elsewhere/secret.png"), "x.png"),
        remove("link.png", "x.png"),
        remove("photo.png", "link.png", overwrite=True),
        ("usage", {}),
    )
    before, small, there, again, *refused, after = told["outcomes"]
    assert (small["width"], small["height"], small["media_type"], small["credits_charged"]) == (20, 15, "image/png", 1)
    assert "is there already" in there["error"]
    assert again["credits_charged"] == 1
    with Image.open(folder / "results/small.png") as result:
        assert result.mode == "L"
    wrong, outside = refused[:5], refused[5:]
    expected = ["valid integer", "colour", "output", "'w' must be at least 1, got: -5", "no file"]
    assert all(text in outcome["error"] for text, outcome in zip(expected, wrong, strict=True)), wrong
    assert len(outside) == 7
    assert all("outside of the allowed folders" in outcome["error"] for outcome in outside), outside
    assert [path.name for path in (folder / "elsewhere").iterdir()] == ["secret.png"]
    assert sorted(path.name for path in (folder / "pictures").iterdir()) == ["link.png", "photo.png", "way-out"]
    assert (before["remaining"], after["remaining"]) == (1000, 998)
    assert set(told["tools"]) == {"remove_background", "usage", "models"}
    schema = told["tools"]["remove_background"]["schema"]
    assert set(schema["properties"]) == {"image", "output", "overwrite", "bg_image", *ROWS}
    assert (schema["required"], schema["additionalProperties"]) == (["image", "output"], False)
    assert told["tools"]["usage"]["annotations"]["read_only_hint"] is True


def test_streamable_http(assistant):
    port = free_port()
    command = [*assistant.command, "--transport", "http", "--port", str(port)]
    url = f"http://127.0.0.1:{port}/mcp"
    with subprocess.Popen(command, env=assistant.environment, cwd="/", stderr=subprocess.PIPE) as process:
        try:
            wait_for(url, process)
            told = assistant.ask(("usage", {}), remove("photo.png", "cut.webp"), remove("photo.png", "/tmp/x.png"), url=url)  # noqa: S108
            # A page that a browser shows may know a name that leads here.
            rebound = requests.post(url, json={}, headers={"Host": "evil.example.com"}, timeout=10)
        finally:
            process.terminate()
    assert told["outcomes"][0]["remaining"] == 1000
    assert told["outcomes"][1]["width"] == 40
    assert "outside" in told["outcomes"][2]["error"]
    assert rebound.status_code == 421


def wait_for(url: str, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            requests.get(url, timeout=5)
        except requests.ConnectionError:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        else:
            return


def test_without_the_sdk_it_says_what_to_install(rmbg, tmp_path):
    (tmp_path / "mcp.py").write_text('raise ImportError("not installed")')
    rmbg.environment["PYTHONPATH"] = f"{tmp_path}:{rmbg.environment['PYTHONPATH']}"
    refused = rmbg("mcp", "--allow", os.curdir)
    assert refused.code == 2
    assert "rembg-client[mcp]" in refused.err


def test_a_folder_that_is_not_there_is_told(assistant):
    command = [assistant.python, "-m", "rembg_client", "mcp", "--allow", "nowhere"]
    done = subprocess.run(command, env=assistant.environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (2, "")
    assert "There is no folder nowhere" in done.stderr
