"""The work on one image, shared among cores: the same result, the caller's priority, and errors that come through."""

import io
import os
import threading

import numpy as np
import pytest
from PIL import Image, ImageDraw

from imaging.core import canvas
from imaging.core.canvas import in_own_memory, rows_of, turned
from imaging.core.codecs import webp_writer
from imaging.core.cores import cores_in_use, for_each, in_background, use_cores
from imaging.core.matting import refine
from imaging.core.matting.matte import Prediction, shrunk
from imaging.core.options import CutoutOptions
from imaging.core.pipeline import cut_out
from tests.imaging.core.pictures import FORMATS, check, exif, file_bytes, photo


class DiscModel:
    """A small matte with soft edges, so that refinement runs."""

    name = "disc"

    def predict(self, image):
        shrunk(image)
        matte = Image.new("L", (320, 320))
        ImageDraw.Draw(matte).ellipse((40, 60, 220, 280), fill=255)
        return Prediction(matte.resize((160, 160), Image.Resampling.BOX), self.name, 1.0)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("mask", [False, True])
@pytest.mark.parametrize("orientation", [1, 6])
def test_the_result_does_not_depend_on_the_number_of_cores(monkeypatch, format, mask, orientation):
    for module in (canvas, refine, webp_writer):
        # Many strips of a small image.
        monkeypatch.setattr(module, "_STRIP_PIXELS" if module is refine else "CACHED_PIXELS", 20_000)
    data = file_bytes(photo((533, 421)), "JPEG", exif=exif(orientation))
    header, _ = check(data)
    options = CutoutOptions(format=format, mask=mask)

    def delivered(cores):
        return cut_out(io.BytesIO(data), header, options, DiscModel(), cores=cores).data

    alone = delivered(1)
    assert [delivered(cores) for cores in (2, 3)] == [alone, alone]


def test_every_item_is_worked_on_once_and_by_several_threads():
    together = threading.Barrier(3)
    done = []

    def work(item):
        # Returns only once three threads are here.
        together.wait(10)
        done.append(item)

    with use_cores(3):
        assert cores_in_use() == 3
        for_each(work, range(12))
    assert sorted(done) == list(range(12))
    assert cores_in_use() == 1


def test_without_more_cores_the_work_is_done_in_order_by_the_caller():
    done = []
    with use_cores(1):
        for_each(lambda item: done.append((item, threading.get_ident())), range(3))
        assert in_background(threading.get_ident).result() == threading.get_ident()
    assert done == [(item, threading.get_ident()) for item in range(3)]


@pytest.mark.parametrize("cores", [1, 2, 4])
def test_an_error_reaches_the_caller_and_ends_the_work(cores):
    done = []

    def work(item):
        if item == 3:
            raise MemoryError
        done.append(item)

    with use_cores(cores), pytest.raises(MemoryError):
        for_each(work, range(100_000))
    assert len(done) < 100_000


def test_work_goes_on_while_the_other_core_is_taken():
    taken = threading.Event()
    done: list[int] = []
    with use_cores(2):
        other = in_background(lambda: taken.wait(10))
        for_each(done.append, range(5))
        assert done == list(range(5))
        taken.set()
        assert other.result()


@pytest.mark.skipif(not hasattr(os, "getpriority"), reason="the system has no niceness")
def test_helpers_have_the_priority_of_the_thread_that_they_help():
    found = []

    def low():
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 15)
        with use_cores(2):
            found.append(in_background(lambda: os.getpriority(os.PRIO_PROCESS, threading.get_native_id())).result())

    thread = threading.Thread(target=low)
    thread.start()
    thread.join()
    assert found == [15]


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
@pytest.mark.parametrize("size", [(64, 48), (1301, 977), (319, 2830), (2000, 1), (3000, 1100)])
def test_an_image_is_shrunk_as_pillow_shrinks_it(mode, size):
    image = photo(size, mode)
    bands = [
        image.getchannel(band).resize((320, 320), Image.Resampling.LANCZOS, reducing_gap=3.0) for band in ("R", "G", "B")
    ]
    with use_cores(2):
        assert shrunk(in_own_memory(image)).tobytes() == Image.merge("RGB", bands).tobytes()


@pytest.mark.parametrize("method", list(Image.Transpose))
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
def test_turning_in_strips_is_turning(monkeypatch, method, mode):
    monkeypatch.setattr(canvas, "CACHED_PIXELS", 500)
    image = photo((61, 47), mode)
    expected = image.transpose(method)
    result = turned(image.copy(), method)
    assert (result.mode, result.size) == (mode, expected.size)
    assert result.tobytes() == expected.tobytes()


def test_numpy_changes_the_image_itself():
    image = in_own_memory(Image.new("RGBA", (3, 2), (1, 2, 3, 4)))
    rows_of(image, 1, 2)[0, 2] = 9, 8, 7, 6
    assert image.getpixel((2, 1)) == (9, 8, 7, 6)
    assert image.getpixel((2, 0)) == (1, 2, 3, 4)
    assert rows_of(in_own_memory(Image.new("L", (3, 2), 5)), 0, 2).tolist() == [[5] * 3] * 2


def test_memory_that_the_system_does_not_have_is_a_memory_error():
    with pytest.raises(MemoryError):
        canvas.new_memory(1 << 60)


def test_transparent_blocks_cost_no_colours():
    rows = np.zeros((32, 80, 4), np.uint8)
    rows[..., :3] = 200
    rows[4, 35] = 10, 20, 30, 255
    assert webp_writer.spread_colours(rows) == (32, 48)
    assert (rows[:16, 32:48, :3] == [10, 20, 30]).all()
    assert (rows[16:, 32:48, :3] == 0).all()
    assert (rows[:, :32, :3] == 200).all()
    assert rows[..., 3].sum() == 255
