"""A zip of colours and alpha: laid on a background, the two give what the PNG gives."""

import io
import zipfile
from functools import cache

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter
from skimage import data

from imaging.core.codecs.headers import read_header
from imaging.core.matting.engines import OnnxRuntimeEngine
from imaging.core.matting.matte import NetworkModel
from imaging.core.options import CutoutOptions
from imaging.core.pipeline import cut_out
from imaging.core.two_files import encode_zip
from tests.imaging.core.pictures import THREADS, WEIGHTS, RememberingEngine, file_bytes, needs_weights

BACKGROUNDS = ((255, 255, 255), (0, 0, 0), (255, 0, 0), (0, 128, 255), (128, 128, 128))
# Of 255, as the mean over all pixels with a subject; JPEG's own noise is most of it.
TOLERANCE = 3.0


@cache
def model() -> NetworkModel:
    return NetworkModel(RememberingEngine(OnnxRuntimeEngine(WEIGHTS, threads=THREADS)), name="u2net")


def files_of(content: bytes):
    archive = zipfile.ZipFile(io.BytesIO(content))
    return [np.asarray(Image.open(archive.open(name))).astype(float) for name in ("color.jpg", "alpha.png")]


@needs_weights
@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee", "rocket"])
@pytest.mark.parametrize("size", [None, (300, 200)], ids=["whole", "smaller"])
def test_the_composite_is_that_of_the_png(name, size):
    photo = file_bytes(Image.fromarray(getattr(data, name)()))
    sides = {"width": size[0], "height": size[1], "exact_resize": True} if size else {}

    def result(format):
        file = io.BytesIO(photo)
        return cut_out(file, read_header(file), CutoutOptions(format=format, **sides), model()).data

    png = np.asarray(Image.open(io.BytesIO(result("png"))).convert("RGBA")).astype(float)
    color, alpha = files_of(result("zip"))
    assert np.array_equal(alpha, png[..., 3])
    visible, edge = alpha > 0, (alpha > 0) & (alpha < 255)
    for background in BACKGROUNDS:
        opacity = alpha[..., None] / 255
        ours = color * opacity + (1 - opacity) * np.array(background)
        theirs = png[..., :3] * opacity + (1 - opacity) * np.array(background)
        found = np.abs(ours - theirs)
        assert found[visible].mean() < TOLERANCE, background
        assert found[edge].mean() < TOLERANCE, background
        assert np.percentile(found[visible], 99) < 4 * TOLERANCE, background


def subject(size=(100, 70)):
    """A red subject with a soft edge, and a photograph of green behind it."""
    alpha = Image.new("L", size)
    ImageDraw.Draw(alpha).ellipse((20, 15, 80, 55), fill=255)
    image = Image.new("RGBA", size, (220, 30, 20, 0))
    image.putalpha(alpha.filter(ImageFilter.GaussianBlur(1)))
    return image, Image.new("RGB", size, (10, 200, 30))


def test_the_background_does_not_bleed_into_the_edge():
    image, photo = subject()
    color, alpha = files_of(encode_zip(image, photo, None).read())
    assert np.abs(color[alpha > 0] - (220, 30, 20)).max() <= 3
    assert np.abs(color[0, 0] - (10, 200, 30)).max() <= 3


def test_without_a_photograph_it_is_black_behind():
    color, alpha = files_of(encode_zip(subject()[0], None, None).read())
    assert color[0, 0].max() <= 3
    assert np.abs(color[alpha > 0] - (220, 30, 20)).max() <= 3


@pytest.mark.parametrize("size", [(1, 1), (15, 17), (16, 16), (33, 5)])
def test_any_size(size):
    color, alpha = files_of(encode_zip(Image.new("RGBA", size, (1, 2, 3, 128)), Image.new("RGB", size), None).read())
    assert color.shape[:2] == alpha.shape == size[::-1]
    color, alpha = files_of(encode_zip(Image.new("RGB", size, (90, 90, 90)), None, None).read())
    assert alpha.min() == 255
    assert np.abs(color - 90).max() <= 3
