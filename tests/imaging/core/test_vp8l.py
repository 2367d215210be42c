"""Our lossless encoder, read back by libwebp."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from imaging.core.codecs import vp8l
from imaging.core.codecs import webp_writer as webp

RANDOM = np.random.default_rng(0)


def grey(image):
    return Image.open(io.BytesIO(webp.encode_webp(image, None))).convert("RGB")


def alpha(image):
    cutout = Image.new("RGBA", image.size, "red")
    cutout.putalpha(image)
    return Image.open(io.BytesIO(webp.encode_webp(cutout, None))).convert("RGBA").getchannel("A")


def assert_lossless(plane):
    image = Image.fromarray(plane)
    assert (np.asarray(grey(image)) == plane[..., None]).all()
    assert (np.asarray(alpha(image)) == plane).all()


@given(
    width=st.integers(1, 80),
    height=st.integers(1, 80),
    levels=st.sampled_from([1, 2, 3, 17, 256]),
    repeat=st.integers(1, 9),
    seed=st.integers(0, 1000),
)
def test_nothing_is_lost(width, height, levels, repeat, seed):
    values = np.random.default_rng(seed).integers(0, levels, (height, width // repeat + 1)) * (255 // max(1, levels - 1))
    assert_lossless(np.repeat(values, repeat, axis=1)[:, :width].astype(np.uint8))


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1), (513, 512), (10_000, 3)])
@pytest.mark.parametrize("value", [0, 1, 255])
def test_plain_planes(size, value):
    assert_lossless(np.full(size[::-1], value, np.uint8))


def test_strips_join_without_a_seam():
    plane = np.asarray(Image.radial_gradient("L").resize((1300, 1700)))
    assert plane.size > 2 * vp8l._STRIP_PIXELS
    assert_lossless(plane)


def test_runs_of_every_length():
    # Each run ends in noise, so that none is taken for part of another.
    lengths = [*range(1, 40), 4095, 4096, 4097, 4098, 8192, 8193, 8194, 12_289]
    row = np.concatenate([np.append(np.zeros(length), RANDOM.integers(1, 255, 3)) for length in lengths])
    assert_lossless(row.astype(np.uint8).reshape(1, -1)[:, :16_000])
    assert_lossless(row.astype(np.uint8)[: len(row) // 100 * 100].reshape(-1, 100))


def test_codes_stay_within_fifteen_bits():
    fibonacci = [1, 1]
    while len(fibonacci) < 40:
        fibonacci.append(sum(fibonacci[-2:]))
    lengths = vp8l._code_lengths(np.array(fibonacci + [0] * 240))
    assert lengths.max() == 15
    assert (lengths[40:] == 0).all()
    assert sum(2.0**-length for length in lengths[:40]) == 1


def test_a_matte_is_smaller_than_libwebp_makes_it():
    matte = Image.radial_gradient("L").point([min(255, max(0, (200 - value) * 8)) for value in range(256)])
    matte = matte.resize((1500, 1000), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    matte.save(buffer, "WEBP", lossless=True, method=0, quality=0)
    assert len(webp.encode_webp(matte, None)) < len(buffer.getvalue())
