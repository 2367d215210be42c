"""Static files in production."""

import re
from pathlib import Path

from django.conf import settings
from django.core.management import call_command
from django.test import override_settings

STORAGE = {"BACKEND": "lib.web.static_storage.HashedStaticFilesStorage"}


def test_scripts_find_each_other_workers_and_webassembly_by_hashed_names(tmp_path: Path):
    with override_settings(STATIC_ROOT=tmp_path, STORAGES={**settings.STORAGES, "staticfiles": STORAGE}):
        call_command("collectstatic", interactive=False, verbosity=0)
    hashed = [path for path in tmp_path.rglob("imaging/**/*.js") if re.search(r"\.[0-9a-f]{12}\.js$", path.name)]
    assert hashed
    for path in hashed:
        for url in re.findall(r"""(?:from |import\(|new URL\()["'](\.[^"']+)["']""", path.read_text()):
            assert re.search(r"\.[0-9a-f]{12}\.(js|wasm)$", url), (path.name, url)
            assert (path.parent / url).is_file(), (path.name, url)
