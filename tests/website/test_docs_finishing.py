"""The worked examples of `/docs/finishing` are what the code makes, and its presets what the table has."""

import io
import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from imaging.core.codecs.headers import read_header
from imaging.core.matting.engines import OnnxRuntimeEngine
from imaging.core.matting.matte import NetworkModel
from imaging.core.options import parse_options
from imaging.core.pipeline import cut_out
from imaging.core.presets import PRESETS
from tests.imaging.core.pictures import THREADS, WEIGHTS, RememberingEngine, file_bytes, needs_weights
from website.finishing import EXAMPLES, SIDE

STATIC = Path(__file__).parents[2] / "website/static"
# Processors round differently. A shadow or a pixel's step is far more.
TOLERANCE = 2.0


@cache
def model() -> NetworkModel:
    return NetworkModel(RememberingEngine(OnnxRuntimeEngine(WEIGHTS, threads=THREADS)), name="u2net")


def photograph(name: str) -> bytes:
    image = Image.fromarray(getattr(data, name)())
    image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    return file_bytes(image)


@needs_weights
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_an_example_is_what_its_fields_make(example):
    """Regenerate website/static/finishing with UPDATE_GOLDEN=1, and look at the images before committing them."""
    file = io.BytesIO(photograph(example.photo))
    options, problems = parse_options(example.fields)
    assert problems == []
    result = cut_out(file, read_header(file), options, model())
    golden = STATIC / example.path
    if os.environ.get("UPDATE_GOLDEN"):
        golden.parent.mkdir(exist_ok=True)
        golden.write_bytes(result.data)
    expected, made = (Image.open(io.BytesIO(content)).convert("RGBA") for content in (golden.read_bytes(), result.data))
    assert made.size == expected.size
    difference = np.asarray(made, float) - np.asarray(expected, float)
    assert np.abs(difference).mean() <= TOLERANCE


@pytest.mark.django_db
def test_the_page_has_every_example_and_every_preset(client):
    html = client.get("/docs/finishing").content.decode()
    assert len(EXAMPLES) == 12
    for example in EXAMPLES:
        assert example.path in html
        assert all(f"{name}={value}" in html for name, value in example.fields.items())
    rows = html.split("data-presets")[1].split("</table>")[0]
    assert all(f"<code>{name}</code>" in rows for name in PRESETS)
