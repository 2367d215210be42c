"""`@remove-background-ai/rembg.js` 1.3.1, unmodified, works against our server when only the host is changed."""

import base64
import io
import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.clients.npm import require_official_client

HERE = Path(__file__).parent
PHOTO = HERE.parent.parent / "imaging/static/imaging/samples/astronaut.jpg"

pytestmark = pytest.mark.node


@pytest.fixture(scope="module")
def outcomes(server, server_key) -> dict[str, dict]:
    """The client's outcome of each case."""
    require_official_client()
    command = ["node", "official_client.mjs", server.url, server_key, str(PHOTO)]
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return {outcome["name"]: outcome for outcome in map(json.loads, done.stdout.splitlines())}


def image_of(outcome: dict) -> Image.Image:
    assert "error" not in outcome, outcome["error"]
    return Image.open(io.BytesIO(base64.b64decode(outcome["data"])))


@pytest.mark.parametrize("name", ["path", "buffer", "base64", "dataUrl", "webp"])
def test_every_kind_of_input_gives_a_webp_cutout(outcomes, name):
    result = image_of(outcomes[name])
    assert (result.format, result.mode, result.size) == ("WEBP", "RGBA", (512, 512))
    assert result.getpixel((250, 150))[3] > 250
    assert result.getpixel((450, 30))[3] < 5


def test_png_in_capital_letters(outcomes):
    assert image_of(outcomes["png"]).format == "PNG"


def test_a_mask(outcomes):
    assert image_of(outcomes["mask"]).mode == "L"


def test_an_exact_size(outcomes):
    assert image_of(outcomes["exact"]).size == (120, 60)


def test_a_rotation_over_a_named_colour(outcomes):
    result = image_of(outcomes["rotated"]).convert("RGB")
    assert result.width == result.height == pytest.approx(724, abs=2)
    assert result.getpixel((2, 2)) == (0, 0, 255)


def test_a_rotation_that_keeps_the_canvas(outcomes):
    assert image_of(outcomes["cropped"]).size == (512, 512)


def test_base64_is_made_by_the_client_from_raw_bytes(outcomes):
    result = image_of(outcomes["returnBase64"])
    assert result.format == "PNG"
    assert np.asarray(result.getchannel("A")).max() == 255


def test_a_wrong_key_is_reported_with_its_body(outcomes):
    assert outcomes["wrongKey"]["error"] == '❌ 401 {"error":"invalid api key","code":"invalid_api_key","status":401}'


def test_progress_is_seen_both_ways(outcomes):
    outcome = outcomes["path"]
    assert outcome["uploaded"][-1] >= PHOTO.stat().st_size
    loaded, total = outcome["downloaded"][-1]
    assert loaded == total == len(base64.b64decode(outcome["data"]))
