"""What can be reported from a file's name, size and first bytes: never more than the whole file would show."""

import io

import pytest
from PIL import Image

from imaging.core.codecs.checks import INVALID_IMAGE, check_image, find_early_problem, find_start_problem
from imaging.core.codecs.headers import START_BYTES
from tests.conftest import encoded

MODES = {"BMP": ["1", "L", "P", "RGB", "RGBA"], "PNG": ["1", "L", "LA", "P", "RGB", "RGBA"], "JPEG": ["L", "RGB", "CMYK"]}
CASES = [(format, mode) for format, modes in MODES.items() for mode in modes] + [("WEBP", "RGB"), ("WEBP", "RGBA")]


@pytest.mark.parametrize(("format", "mode"), CASES)
def test_no_image_is_refused_by_its_beginning(format, mode):
    content = encoded(Image.radial_gradient("L").resize((70, 50)).convert("RGB").convert(mode), format)
    assert find_start_problem(content[:START_BYTES]) is None


def test_a_bmp_of_the_oldest_kind_and_one_from_top_to_bottom():
    core = b"BM" + bytes(12) + (12).to_bytes(4, "little") + b"\x05\0\x07\0" + b"\1\0\x18\0"
    assert find_start_problem(core) is None
    upside_down = b"BM" + bytes(12) + (40).to_bytes(4, "little") + b"\x05\0\0\0" + (-7).to_bytes(4, "little", signed=True)
    assert find_start_problem(upside_down) is None


@pytest.mark.parametrize(
    "start", [b"", b"B", b"BM", b"BM" + bytes(200), b"GIF89a", b"PK\x03\x04", b"\0" * 256, b"RIFF0000WAVE"]
)
def test_what_is_no_image_is_refused_by_its_beginning_as_by_all_of_it(start):
    assert find_start_problem(start) == INVALID_IMAGE
    if start:
        assert check_image(io.BytesIO(start), name="a.png", size=len(start))[1] == [INVALID_IMAGE]


@pytest.mark.parametrize(
    ("name", "size", "code"),
    [
        ("a.png", 5, None),
        ("a.exe", 5, "unsupported_file_type"),
        ("a", 0, "empty_file"),
        ("a.PNG", 60 << 20, "file_too_large"),
    ],
)
def test_name_and_size(name, size, code):
    problem = find_early_problem(name, size)
    assert (problem.code if problem else None) == code
