"""Decoding in a child process: the same pixels, and an end when it takes too long or the caller disconnects."""

import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from imaging.core.codecs import apart
from imaging.core.codecs import decode as decoding
from imaging.core.codecs.decode import decode
from imaging.core.codecs.headers import read_header
from imaging.core.options import CutoutOptions
from imaging.core.pipeline import cut_out
from imaging.core.problems import CallerGone, ImageRefused
from imaging.core.watch import Watch
from tests.imaging.core.hostile import progressive, run_length_bmp
from tests.imaging.core.pictures import EllipseModel, exif, file_bytes, photo

ROOT = Path(__file__).parents[3]
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
# Decoding it takes at least 1 s of CPU time, which cannot be interrupted.
SLOW = progressive(3464, 3464, 98)


@pytest.fixture
def all_apart(monkeypatch):
    monkeypatch.setattr(decoding, "APART_SECONDS", -1.0)


def decoded(data, watch=None):
    file = io.BytesIO(data)
    return decode(file, read_header(file), watch)


def children() -> list[str]:
    """The live decoding processes. Other tests of this worker may have servers and browsers running."""
    pids = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
    return [pid for pid in pids if b"imaging.core.codecs.child" in Path(f"/proc/{pid}/cmdline").read_bytes()]


FILES = {
    "JPEG": file_bytes(photo(), "JPEG", icc_profile=SRGB, exif=exif(6)),
    "PNG": file_bytes(photo(mode="RGBA"), "PNG", icc_profile=SRGB, exif=exif(3)),
    "PNG of a palette": file_bytes(photo().quantize(16), "PNG", transparency=3),
    "WEBP": file_bytes(photo(mode="RGBA"), "WEBP", icc_profile=SRGB),
    "CMYK": file_bytes(photo().convert("CMYK"), "JPEG"),
    "BMP": run_length_bmp(5, 2, b"\5\1\0\0\5\2\0\1"),
}


@pytest.mark.parametrize("kind", FILES)
def test_the_same_pixels_as_in_this_process(kind, monkeypatch):
    here = decoded(FILES[kind])
    monkeypatch.setattr(decoding, "APART_SECONDS", -1.0)
    there = decoded(FILES[kind])
    assert (there.pixels.mode, there.icc_profile) == (here.pixels.mode, here.icc_profile)
    assert (np.asarray(there.pixels) == np.asarray(here.pixels)).all()
    # Composing changes it in place.
    there.pixels.putalpha(Image.new("L", there.pixels.size, 7))
    assert there.pixels.getpixel((0, 0))[3] == 7


def test_a_costly_file_is_decoded_apart_and_a_cheap_one_here(monkeypatch):
    class Started(Exception):
        pass

    def start(*_: object, **__: object) -> None:
        raise Started

    monkeypatch.setattr(subprocess, "Popen", start)
    decoded(FILES["JPEG"])
    with pytest.raises(Started):
        decoded(SLOW)


@pytest.mark.usefixtures("all_apart")
def test_a_file_that_does_not_decode_is_refused():
    with pytest.raises(ImageRefused, match="does not appear to be a valid image"):
        decoded(file_bytes(photo((200, 200)), "PNG")[:-2000])


@pytest.fixture
def started(monkeypatch):
    """The processes that were started."""
    processes, popen = [], subprocess.Popen

    def start(*arguments, **options):
        processes.append(popen(*arguments, **options))
        return processes[-1]

    monkeypatch.setattr(subprocess, "Popen", start)
    return processes


def test_the_deadline_ends_it(started):
    with pytest.raises(ImageRefused, match=r"took longer than 0\.4 seconds to process and was stopped") as refusal:
        decoded(SLOW, Watch(0.4))
    assert refusal.value.problems[0].code == "image_too_slow"
    assert [process.returncode for process in started] == [-signal.SIGKILL]
    assert children() == []


def test_a_caller_who_has_gone_ends_it(started):
    begun = time.monotonic()
    with pytest.raises(CallerGone):
        decoded(SLOW, Watch(still_wanted=lambda: time.monotonic() - begun < 0.4))
    assert [process.returncode for process in started] == [-signal.SIGKILL]
    assert children() == []


def test_it_ends_with_the_process_that_waits_for_it(tmp_path):
    (tmp_path / "slow.jpg").write_bytes(progressive(6000, 6000, 98))
    waiting = (
        "from imaging.core.codecs.headers import read_header; from imaging.core.codecs.decode import decode; import sys\n"
        "file = open(sys.argv[1], 'rb'); print('ready', flush=True); decode(file, read_header(file))"
    )
    command = [sys.executable, "-c", waiting, str(tmp_path / "slow.jpg")]
    parent = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    listed = Path(f"/proc/{parent.pid}/task/{parent.pid}/children")
    while not (child := listed.read_text().strip()):
        time.sleep(0.01)
    # By then it has asked to be killed with its parent, and is decoding.
    while b"codecs.child" not in Path(f"/proc/{child}/cmdline").read_bytes():
        time.sleep(0.01)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    deadline = time.monotonic() + 30
    while is_running(child):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_running(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.usefixtures("all_apart")
def test_it_gets_none_of_our_secrets(monkeypatch):
    monkeypatch.setenv("SECRET_KEY", "secret")
    given: list[dict[str, str]] = []
    popen = subprocess.Popen

    def start(*arguments, **options):
        given.append(options["env"])
        return popen(*arguments, **options)

    monkeypatch.setattr(subprocess, "Popen", start)
    decoded(FILES["JPEG"])
    assert "secret" not in given[0].values()


@pytest.mark.usefixtures("all_apart")
@pytest.mark.parametrize(
    ("command", "raised"),
    [
        ("kill -SEGV $$", ImageRefused),  # what the file made a decoder do
        ("kill -KILL $$", MemoryError),  # what the system does when memory runs out
        ("exit 1", apart.DecoderCrashed),  # our own fault
    ],
)
def test_a_process_that_ends_without_an_answer(command, raised, monkeypatch):
    popen = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda _, **more: popen(["sh", "-c", command], **more))
    with pytest.raises(raised):
        decoded(FILES["JPEG"])


@pytest.mark.usefixtures("all_apart")
def test_our_own_fault_in_the_process_is_not_the_files(monkeypatch):
    monkeypatch.setattr(apart, "_nameless", lambda: os.open("/dev/null", os.O_RDWR))
    with pytest.raises(apart.DecoderCrashed, match="Traceback"):
        decoded(FILES["JPEG"])


class SlowModel(EllipseModel):
    def predict(self, image):
        time.sleep(0.3)
        return super().predict(image)


@pytest.mark.parametrize(
    ("watch", "raised"),
    [
        (lambda begun: Watch(0.2), ImageRefused),
        (lambda begun: Watch(still_wanted=lambda: time.monotonic() - begun < 0.2), CallerGone),
    ],
)
def test_after_the_deadline_and_for_a_caller_who_has_gone_no_step_begins(watch, raised, monkeypatch):
    monkeypatch.setattr("imaging.core.pipeline.enlarge", lambda *_, **__: pytest.fail("composed"))
    file = io.BytesIO(FILES["JPEG"])
    with pytest.raises(raised):
        cut_out(file, read_header(file), CutoutOptions(), SlowModel(), watch=watch(time.monotonic()))


def test_a_caller_who_has_gone_before_it_begins_costs_nothing(monkeypatch):
    monkeypatch.setattr("imaging.core.pipeline.decode", lambda *_: pytest.fail("decoded"))
    file = io.BytesIO(FILES["JPEG"])
    with pytest.raises(CallerGone):
        cut_out(file, read_header(file), CutoutOptions(), SlowModel(), watch=Watch(still_wanted=lambda: False))


def test_the_caller_is_asked_now_and_then():
    answers = iter([True])
    watch = Watch(still_wanted=lambda: next(answers))
    for _ in range(1000):
        watch.check()
    assert next(answers, None) is None
