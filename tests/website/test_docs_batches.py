"""The samples on `/docs/batches`, as a reader copies them, run against the running product."""

import zipfile
from pathlib import Path

import pytest
import requests

from tests.website.test_docs_samples import Samples, run_sample


@pytest.fixture(scope="module")
def samples(server, server_key) -> dict[str, str]:
    """Every sample with the key filled in, as the page's script does."""
    found = Samples(requests.get(f"{server.url}/docs/batches", timeout=30).text).found
    return {name: code.replace("YOUR_API_KEY", server_key) for name, code in found.items()}


@pytest.fixture
def folder(tmp_path: Path, photo: bytes, small_png: bytes) -> Path:
    """A reader's working folder: a photo, and a zip of two files, one of which is not an image."""
    (tmp_path / "photo.jpg").write_bytes(photo)
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        archive.writestr("shoes/red.png", small_png)
        archive.writestr("notes.txt", "no picture")
    return tmp_path


@pytest.mark.parametrize("language", ["curl", "python", "node"])
def test_a_batch(samples, folder, language):
    printed = run_sample(samples, f"batch-{language}", folder)
    with zipfile.ZipFile(folder / "cutouts.zip") as cutouts:
        assert cutouts.namelist() == ["photo.png", "shoes/red.png"]
        assert cutouts.testzip() is None
    if language != "curl":
        assert printed.splitlines() == [
            "photo.jpg done",
            "shoes/red.png done",
            "notes.txt File type '.txt' is not supported. Allowed formats: webp, bmp, png, jpg, jpeg",
        ]


@pytest.mark.parametrize("language", ["curl", "python"])
def test_several_results(samples, folder, language):
    printed = run_sample(samples, f"outputs-{language}", folder)
    with zipfile.ZipFile(folder / "cutouts.zip") as cutouts:
        assert cutouts.namelist() == ["photo-cutout.png", "photo-white.jpeg", "photo-mask.png"]
    if language == "python":
        assert printed.splitlines() == [
            "photo.jpg cutout 800 image/png", "photo.jpg white 800 image/jpeg", "photo.jpg mask 800 image/png",
        ]  # fmt: skip
