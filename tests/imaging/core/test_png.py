"""Our PNG files, read back by Pillow."""

import io
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from imaging.core.codecs import png_writer as png
from tests.imaging.core.pictures import file_bytes, photo


def encoded(image):
    file = io.BytesIO()
    png.write_png(file, image, None)
    return file.getvalue()


def read_back(image):
    with Image.open(io.BytesIO(encoded(image))) as result:
        result.load()
    return result


@given(
    width=st.integers(1, 60),
    height=st.integers(1, 60),
    mode=st.sampled_from(["L", "RGB", "RGBA"]),
    smooth=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_nothing_is_lost(width, height, mode, smooth, seed):
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, len(mode) if mode != "L" else 1), np.uint8)
    image = Image.fromarray(noise[..., 0] if mode == "L" else noise)
    image = image.resize((width, height), box=(0, 0, 1, 1)) if smooth else image
    result = read_back(image)
    assert result.mode == mode
    assert (np.asarray(result) == np.asarray(image)).all()


@pytest.mark.parametrize("size", [(10_000, 1), (1, 10_000), (700, 900)])
def test_strips_and_chunks_join(size, monkeypatch):
    monkeypatch.setattr(png, "_CHUNK_BYTES", 1000)
    monkeypatch.setattr(png, "CACHED_PIXELS", 20_000)
    image = photo(size, "RGBA")
    assert (np.asarray(read_back(image)) == np.asarray(image)).all()


def test_the_file_is_about_as_small_as_pillows():
    image = photo((600, 400)).resize((1200, 800), Image.Resampling.BICUBIC)
    assert len(encoded(image)) < 1.15 * len(file_bytes(image))


def test_without_isal_the_pixels_are_the_same(monkeypatch):
    monkeypatch.setattr(png, "deflate", zlib)
    image = photo()
    assert (np.asarray(read_back(image)) == np.asarray(image)).all()
