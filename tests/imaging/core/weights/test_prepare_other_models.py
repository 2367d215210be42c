"""`manage.py prepare_model` and the other models of rembg: its catalogue, its folders and its rules."""

import errno
import json
import subprocess
import sys
import textwrap
from pathlib import Path
from types import SimpleNamespace

import pytest
import requests

from imaging.core.weights import files as weights
from imaging.core.weights.files import serving_path, weights_path, weights_ready
from tests.imaging.core.weights import preparing
from tests.imaging.core.weights.preparing import failure_of, prepare_model

home = preparing.home

ROOT = Path(__file__).resolve().parents[4]


class TestOtherModels:
    """rembg's catalogue, faked where it is imported: the real one costs seconds. `TestRembg` covers that one."""

    @pytest.fixture(autouse=True)
    def catalogue(self, monkeypatch):
        def session(download_models=None, local=True):
            return SimpleNamespace(is_local=lambda: local, download_models=download_models)

        sessions = {name: session() for name in ("u2net", "silueta", "u2net_custom", "ben_custom", "sam")}
        sessions["withoutbg"] = session(local=False)
        monkeypatch.setitem(sys.modules, "rembg.sessions", SimpleNamespace(sessions=sessions))
        return sessions

    def test_an_unknown_name_lists_the_usable_ones(self):
        assert failure_of("u2nett") == "There is no model named 'u2nett'. The names are: silueta, u2net."

    @pytest.mark.parametrize(
        ("name", "reason"),
        [("u2net_custom", "model file"), ("ben_custom", "model file"), ("sam", "points"), ("withoutbg", "external service")],
    )
    def test_what_a_name_alone_cannot_serve_is_refused(self, name, reason):
        assert reason in failure_of(name)

    def test_without_rembg_says_what_to_install(self, monkeypatch):
        monkeypatch.setattr(weights, "find_spec", lambda name: None)
        assert "needs rembg, which is not installed: pip install -r requirements.txt" in failure_of("silueta")

    def test_rembg_fetches_the_others_once(self, catalogue):
        fetched = []

        def download_models():
            fetched.append("silueta")
            weights_path("silueta").write_bytes(b"weights")

        catalogue["silueta"].download_models = download_models
        prepare_model("silueta")
        assert weights_ready("silueta")
        assert serving_path("silueta").read_bytes() == b"weights"
        assert "nothing to do" in prepare_model("silueta")
        assert fetched == ["silueta"]

    @pytest.mark.parametrize(
        ("fault", "text"),
        [
            (requests.ConnectionError("a paragraph\nof detail"), "Check the network"),
            (ValueError("MD5 hash of downloaded file\ndoes not match"), "does not match"),
            (ImportError("pip install\nanother package"), "another package"),
            (OSError(errno.ENOSPC, "No space left on device"), "Not enough disk space"),
        ],
    )
    def test_what_goes_wrong_in_rembg_is_reported_in_one_line(self, catalogue, fault, text):
        def download_models():
            raise fault

        catalogue["silueta"].download_models = download_models
        assert text in failure_of("silueta")


class TestRembg:
    """What is copied from rembg, or assumed of it, against the installed rembg: in a separate process (see above)."""

    ENVIRONMENTS: tuple[dict[str, str], ...] = (
        {},
        {"U2NET_HOME": "/srv/u2net"},
        {"U2NET_HOME": "~/u2net"},
        {"XDG_DATA_HOME": "/srv/data"},
        {"REMBG_HOME": "/srv/rembg"},
        {"REMBG_HOME": "/srv/rembg", "XDG_DATA_HOME": "/srv/data"},
        {"REMBG_HOME": "/srv/rembg", "U2NET_HOME": "/srv/u2net"},
    )
    SCRIPT = """
        import json, os, sys
        from rembg.sessions import sessions
        from imaging.core.weights import preparation

        u2net = sessions["u2net"]

        def folders(environment):
            for name in ("U2NET_HOME", "XDG_DATA_HOME", "REMBG_HOME"):
                os.environ.pop(name, None)
            os.environ.update(environment)
            return [u2net.rembg_home(), u2net.legacy_home()]

        def preferred(home, files):
            os.environ["U2NET_HOME"] = home
            for file in files:
                os.makedirs(os.path.dirname(file), exist_ok=True)
                open(file, "w").close()
                yield u2net.resolve_existing("u2net.onnx")

        environments, home, files = json.load(sys.stdin)
        json.dump({
            "folders": [folders(environment) for environment in environments],
            "preferred": list(preferred(home, files)),
            "usable": [name for name, session in sessions.items() if not preparation._refusal(name, session)],
        }, sys.stdout)
    """

    def test_agrees_on_folders_precedence_and_names(self, home, monkeypatch):
        files = [str(home / "u2net.onnx"), str(home / "models" / "u2net" / "u2net.onnx")]
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(self.SCRIPT)],
            input=json.dumps([self.ENVIRONMENTS, str(home), files]),
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        rembg = json.loads(done.stdout)

        assert rembg["preferred"] == files  # the newer location wins once both exist …
        assert str(weights_path("u2net")) == files[1]  # … and here too
        Path(files[1]).unlink()
        assert str(weights_path("u2net")) == files[0]
        assert {"u2net", "u2netp", "silueta", "isnet-general-use", "birefnet-general"} <= set(rembg["usable"])
        assert not {"sam", "u2net_custom", "dis_custom", "ben_custom", "withoutbg"} & set(rembg["usable"])
        for environment, folders in zip(self.ENVIRONMENTS, rembg["folders"], strict=True):
            for name in ("U2NET_HOME", "XDG_DATA_HOME", "REMBG_HOME"):
                monkeypatch.delenv(name, raising=False)
            for name, value in environment.items():
                monkeypatch.setenv(name, value)
            assert [str(weights.model_home()), str(weights.legacy_home())] == folders, environment
