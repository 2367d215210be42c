"""Where the pictures of batches lie during a test."""

from pathlib import Path

import pytest


@pytest.fixture
def pictures(tmp_path: Path, settings) -> Path:
    """A folder of the test's own in place of the storage's; what it holds is what is kept."""
    folder = tmp_path / "pictures"
    options = {"location": folder, "allow_overwrite": True}
    backend = "django.core.files.storage.FileSystemStorage"
    settings.STORAGES = {**settings.STORAGES, "pictures": {"BACKEND": backend, "OPTIONS": options}}
    return folder
