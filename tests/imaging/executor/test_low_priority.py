"""Large images are processed at a lower priority; small ones and everything else are not."""

import io
import os
import sys
import threading
from contextvars import ContextVar

import pytest

from imaging.core.codecs.headers import ImageHeader
from imaging.core.options import parse_options
from imaging.core.pipeline import Cutout
from imaging.executor import low_priority, runtime
from imaging.executor.jobs import Job

own: ContextVar[str] = ContextVar("own")


def niceness() -> int:
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


def test_the_work_has_a_lower_priority_and_the_caller_keeps_its_own():
    before = niceness()
    inside = low_priority.run(niceness)
    assert niceness() == before
    if sys.platform == "linux":
        assert inside == min(19, max(before, low_priority.NICENESS))


def test_what_the_work_raises_is_raised_here():
    def work() -> None:
        raise KeyError("broken")

    with pytest.raises(KeyError, match="broken"):
        low_priority.run(work)


def test_the_work_sees_the_callers_context():
    own.set("request-1")
    assert low_priority.run(own.get) == "request-1"


@pytest.mark.parametrize(("side", "is_worker", "is_low"), [(5000, False, False), (5001, False, True), (9000, True, False)])
def test_only_large_images_of_web_processes(side, is_worker, is_low, monkeypatch, quick_model):
    threads = []
    monkeypatch.setattr(runtime, "_is_worker", is_worker)

    def cut_out(*arguments, **options) -> Cutout:
        threads.append(threading.current_thread())
        return Cutout(io.BytesIO(), 0, "image/png", "png", side, side, "ellipse", {})

    monkeypatch.setattr(runtime, "cut_out", cut_out)
    options, _ = parse_options({})
    runtime.execute(Job(None, ImageHeader("PNG", side, side, 1), options, refine=True))  # type: ignore[arg-type]
    assert (threads[0] is not threading.current_thread()) is is_low
