"""`manage.py prepare_model`: no network here, `weight_sources.SOURCES` is the seam."""

import errno
import hashlib
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import textwrap
import threading
from collections import namedtuple
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from imaging.core.weights import files as weights
from imaging.core.weights import preparation
from imaging.core.weights.files import serving_path, weights_path, weights_ready
from imaging.core.weights.sources import SourceFailed
from tests.imaging.core.weights import preparing
from tests.imaging.core.weights.preparing import FORGED, MODEL, FakeSource, failure_of, files_in, prepare_model

home, use_sources = preparing.home, preparing.use_sources

ROOT = Path(__file__).resolve().parents[4]


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
        settings.IMAGING_MODELS = ["u2net"]
        use_sources(FakeSource())
        assert "u2net is ready" in prepare_model()


class TestSecondRun:
    def test_asks_no_source_and_says_so(self, use_sources):
        source = FakeSource()
        use_sources(source)
        prepare_model("u2net")
        before = serving_path("u2net").stat().st_mtime_ns

        assert "nothing to do" in prepare_model("u2net")

        assert source.requests == 1
        assert serving_path("u2net").stat().st_mtime_ns == before

    def test_fetches_no_weights_that_were_deleted_once_their_serving_graph_is_made(self, use_sources):
        source = FakeSource()
        use_sources(source)
        prepare_model("u2net")
        weights_path("u2net").unlink()

        assert "nothing to do" in prepare_model("u2net")

        assert source.requests == 1
        assert not weights_path("u2net").exists()

    def test_makes_a_lost_serving_graph_from_the_weights_that_are_there(self, use_sources):
        source = FakeSource()
        use_sources(source)
        prepare_model("u2net")
        serving_path("u2net").unlink()
        assert not weights_ready("u2net")

        prepare_model("u2net")

        assert weights_ready("u2net")
        assert source.requests == 1

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

        assert source.requests == 0
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
        assert bad.requests == 1
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

        assert source.requests == 1
        assert weights_ready("u2net")

    def test_a_killed_one_is_cleaned_up_by_the_next(self, home, use_sources):
        script = """
            import time
            from pathlib import Path
            from imaging.core.weights import preparation
            from imaging.core.weights import sources as weight_sources

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
    def test_too_little_space_is_reported_before_anything_is_fetched(self, monkeypatch, use_sources):
        source = FakeSource()
        use_sources(source)
        usage = namedtuple("usage", "total used free")
        monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(0, 0, 10))
        message = failure_of("u2net")
        assert "Not enough disk space" in message
        assert "0 MB needed, 0 MB free" in message
        assert source.requests == 0

    def test_a_disk_that_fills_up_meanwhile(self, home, use_sources):
        use_sources(FakeSource(MODEL[:250], OSError(errno.ENOSPC, "No space left on device")))
        message = failure_of("u2net")
        assert "Not enough disk space" in message
        assert "MB needed" in message
        assert files_in(home) == set()

    def test_no_permission(self, monkeypatch, use_sources):
        use_sources(FakeSource())
        with tempfile.TemporaryDirectory() as folder:  # pytest's own folders are closed to other users anyway
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
        values = np.random.default_rng(1).normal(size=(1, 3, 8, 8)).astype("float32")
        options = onnxruntime.SessionOptions()
        # When fused differently, the same arithmetic may round differently: compare the graphs as written.
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.log_severity_level = 3  # it warns about weights among the inputs, which are there on purpose
        full, pruned = (
            onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
            for path in (weights_path("u2net"), serving_path("u2net"))
        )

        (result,) = pruned.run(None, {"picture": values})

        assert np.array_equal(result, full.run(["fused"], {"picture": values})[0])

    def test_holds_nothing_that_the_first_output_does_not_need(self, use_sources):
        use_sources(FakeSource())
        prepare_model("u2net")
        graph = onnx.load(serving_path("u2net")).graph
        assert [node.output[0] for node in graph.node] == ["side", "fused"]
        assert [tensor.name for tensor in graph.initializer] == ["used"]
        assert [value.name for value in graph.input] == ["picture"]
        assert [value.name for value in graph.output] == ["fused"]
