"""Counts the project's files whose functions run for one `POST /rmbg`, on the local executor, with an API key.

    .venv/bin/pytest -n 0 -s tests/bench/files_on_the_road.py

The request is the third one, so that what is cached is cached. Every thread is watched.
"""

import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from tests.imaging.removal.forms import form

ROOT = Path(__file__).parent.parent.parent
APPS = ("config", "website", "imaging", "billing", "accounts", "lib")


@pytest.mark.django_db
def test_files_on_the_road_of_one_request(client, key, small_png, quick_model):
    for _ in range(2):
        assert send(client, key, small_png) == 200
    seen: set[str] = set()

    def watch(frame: FrameType, event: str, argument: Any) -> None:
        if event == "call":
            seen.add(frame.f_code.co_filename)

    threading.setprofile_all_threads(watch) if hasattr(threading, "setprofile_all_threads") else threading.setprofile(watch)
    sys.setprofile(watch)
    try:
        assert send(client, key, small_png) == 200
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    files = sorted(str(Path(name).relative_to(ROOT)) for name in seen if Path(name).is_relative_to(ROOT))
    files = [name for name in files if name.split("/")[0] in APPS]
    print("\n" + "\n".join(files))
    print(len(files), "files")


def send(client: Any, key: str, picture: bytes) -> int:
    return client.post("/rmbg", **form(picture, format="png"), headers={"X-API-Key": key}).status_code
