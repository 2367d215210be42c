"""The real model: our session matches rembg's, and its results on photographs."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from imaging.core.matting.engines import OnnxRuntimeEngine
from imaging.core.matting.matte import NetworkModel, RembgMatte, as_matte, normalised, warm_up
from imaging.core.matting.refine import enlarge
from tests.examples import EXHAUSTIVE
from tests.imaging.core.pictures import (
    THREADS,
    WEIGHTS,
    RememberingEngine,
    cutout_of,
    file_bytes,
    needs_weights,
    opened,
    photo,
)

# One worker loads the model, once.
pytestmark = pytest.mark.xdist_group("matte")

GOLDEN = Path(__file__).with_name("golden.json")
PHOTOS = ("astronaut", "chelsea", "coffee", "rocket")


def photograph(name):
    return Image.fromarray(getattr(data, name)())


@pytest.fixture(scope="module")
def engine():
    return OnnxRuntimeEngine(WEIGHTS, threads=THREADS)


@pytest.fixture(scope="module")
def model(engine):
    return NetworkModel(RememberingEngine(engine), name="u2net")


@pytest.fixture(scope="module")
def rembg_model():
    return RembgMatte("u2net")


def mean_difference(first, second):
    """The difference of two mattes, where 1 is from black to white."""
    assert first.mode == second.mode == "L"
    assert first.size == second.size
    return np.abs(np.asarray(first, float) - np.asarray(second, float)).mean() / 255


# We are not responsible for its imports (numba, scikit-image, scipy).
@pytest.mark.filterwarnings("ignore")
@needs_weights
@pytest.mark.parametrize("name", PHOTOS if EXHAUSTIVE else PHOTOS[:2])
def test_the_matte_is_rembgs_own(model, rembg_model, name):
    image = photograph(name)
    matte = enlarge(model.predict(image).matte, image, refine=False)
    assert mean_difference(matte, rembg_model.predict(image).matte) <= 0.002


@needs_weights
def test_a_large_image_is_shrunk_in_two_steps_with_the_same_matte(model):
    image = photograph("coffee").resize((2400, 1600), Image.Resampling.BICUBIC)
    whole = image.resize((320, 320), Image.Resampling.LANCZOS)
    assert mean_difference(model.predict(image).matte, model.predict(whole).matte) <= 0.002


@needs_weights
def test_transparency_of_the_input_makes_no_difference_to_the_model(model):
    image = photograph("coffee")
    transparent = image.copy()
    transparent.putalpha(Image.linear_gradient("L").resize(image.size))
    assert mean_difference(model.predict(image).matte, model.predict(transparent).matte) == 0
    assert transparent.mode == "RGBA"


@needs_weights
@pytest.mark.parametrize("size", [(1, 1), (1, 700), (700, 1)])
@pytest.mark.parametrize("color", ["black", "white"])
def test_images_with_nothing_in_them(model, size, color):
    matte = model.predict(Image.new("RGB", size, color)).matte
    assert enlarge(matte, Image.new("RGB", size, color), refine=True).size == size


@needs_weights
def test_one_session_serves_several_threads(engine):
    model = NetworkModel(engine, name="u2net")
    warm_up(model)
    image, mattes = photograph("astronaut"), []
    threads = [threading.Thread(target=lambda: mattes.append(model.predict(image).matte.tobytes())) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(mattes) == 3
    assert len(set(mattes)) == 1


@needs_weights
def test_giving_memory_back_changes_nothing(engine):
    batch = normalised(photo((320, 320)))
    assert (engine.run(batch, give_memory_back=True) == engine.run(batch, give_memory_back=False)).all()


@pytest.mark.parametrize(("value", "grey"), [(0.0, 0), (0.25, 63), (1.0, 255)])
def test_a_response_without_contrast_is_taken_as_it_is(value, grey):
    assert as_matte(np.full((320, 320), value, np.float32)).getextrema() == (grey, grey)


def test_a_response_is_stretched_to_its_full_range():
    response = np.full((320, 320), 0.4, np.float32)
    response[0, 0], response[0, 1] = 0.3, 0.5
    assert as_matte(response).getextrema() == (0, 255)


def test_a_black_image_is_no_division_by_zero():
    assert np.isfinite(normalised(Image.new("RGB", (320, 320)))).all()


def test_serving_imports_none_of_rembgs_dependencies():
    heavy = "{'rembg', 'scipy', 'numba', 'skimage', 'pymatting', 'django'}"
    program = f"import sys, imaging.core.pipeline; print({heavy} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"


def perceptual_hash(image):
    """256 bits: whether each cell of a 16 x 16 image is brighter than the one on its left (Krawetz' dHash)."""
    cells = np.asarray(image.convert("L").resize((17, 16), Image.Resampling.BOX), int)
    return np.packbits(cells[:, 1:] > cells[:, :-1]).tobytes().hex()


def differing_bits(first, second):
    return (int(first, 16) ^ int(second, 16)).bit_count()


@needs_weights
@pytest.mark.parametrize("name", PHOTOS[:3])
def test_cutouts_look_as_they_did(model, name):
    """Regenerate tests/imaging/core/golden.json with UPDATE_GOLDEN=1, and look at the cutouts before committing it."""
    source = file_bytes(photograph(name), "JPEG", quality=95)
    hashes = {
        "cutout": perceptual_hash(opened(cutout_of(source, model, background=(0, 128, 0, 255)))),
        "mask": perceptual_hash(opened(cutout_of(source, model, mask=True))),
        "rotated": perceptual_hash(opened(cutout_of(source, model, background=(0, 128, 0, 255), angle=30, width=300))),
    }
    golden = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}
    if os.environ.get("UPDATE_GOLDEN") == "1":
        GOLDEN.write_text(json.dumps({**golden, name: hashes}, indent=2, sort_keys=True) + "\n")
        return
    for kind, value in hashes.items():
        # Another processor rounds in other places: 8 of 256 bits are invisible.
        assert differing_bits(value, golden[name][kind]) <= 8, kind
