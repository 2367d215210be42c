"""Where batch images are stored during a test."""

from pathlib import Path

import pytest


@pytest.fixture
def pictures(tmp_path: Path, settings) -> Path:
    """A folder for the test in place of the storage's; it holds everything stored."""
    folder = tmp_path / "pictures"
    options = {"location": folder, "allow_overwrite": True}
    backend = "django.core.files.storage.FileSystemStorage"
    settings.STORAGES = {**settings.STORAGES, "pictures": {"BACKEND": backend, "OPTIONS": options}}
    return folder
