"""Sizes, and that deliveries have them: the contract's promises, computed here a second time."""

import math
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from imaging.core.codecs.checks import ImageHeader
from imaging.core.geometry import (
    check_sizes,
    delivered_size,
    fitted_size,
    peak_megapixels,
    rotated_size,
)
from imaging.core.options import CutoutOptions
from tests.examples import examples
from tests.imaging.core.pictures import FORMATS, cutout_of, file_bytes, opened, photo

sides = st.integers(1, 200)
any_side = st.integers(1, 10_000)
angles = st.sampled_from([0.0, 90.0, -90.0, 180.0, 270.0, 360.0, -360.0, 45.0, 1e-9, 89.999]) | st.floats(-360, 360)


@examples(80)
@given(
    size=st.tuples(sides, sides),
    angle=angles,
    expand=st.booleans(),
    width=st.none() | sides,
    height=st.none() | sides,
    exact=st.booleans(),
    mask=st.booleans(),
    format=st.sampled_from(FORMATS),
    mode=st.sampled_from(["RGB", "RGBA"]),
)
def test_what_is_delivered_has_the_size_promised(size, angle, expand, width, height, exact, mask, format, mode):
    wishes = {"width": width, "height": height, "exact_resize": exact, "angle": angle, "expand": expand, "mask": mask}
    options = CutoutOptions(format=format, **wishes)
    # Requests for more are refused before an image exists.
    assume(not check_sizes(size, options))
    image = opened(cutout_of(file_bytes(photo(size, mode)), format=format, **wishes))
    assert image.size == delivered_size(size, options)
    rotated = delivered_size(size, CutoutOptions(angle=angle, expand=expand))
    assert_rotated(size, angle, expand, rotated)
    assert_fitted(rotated, width, height, exact, image.size)


def assert_rotated(size, angle, expand, rotated):
    if not expand or angle % 180 == 0:
        assert rotated == size
    elif angle % 90 == 0:
        assert rotated == size[::-1]
    else:
        corners = [
            complex(x, y) * complex(math.cos(math.radians(angle)), math.sin(math.radians(angle)))
            for x in (0, size[0])
            for y in (0, size[1])
        ]
        box = (
            max(corner.real for corner in corners) - min(corner.real for corner in corners),
            max(corner.imag for corner in corners) - min(corner.imag for corner in corners),
        )
        assert all(0 <= side - length + 1e-3 < 1.01 for side, length in zip(rotated, box, strict=True))


def assert_fitted(size, width, height, exact, fitted):
    if width is None and height is None:
        assert fitted == size
        return
    if width and height and exact:
        assert fitted == (width, height)
        return
    assert fitted[0] == width or fitted[1] == height
    assert width is None or fitted[0] <= width
    assert height is None or fitted[1] <= height
    assert min(fitted) >= 1
    # The aspect ratio within half a pixel of the derived side, as far as half a pixel is possible.
    across, down = Fraction(fitted[0], size[0]), Fraction(fitted[1], size[1])
    off = min(abs(across * size[1] - fitted[1]), abs(down * size[0] - fitted[0]))
    assert off <= Fraction(1, 2) or 1 in fitted


@given(size=st.tuples(any_side, any_side), width=any_side, height=any_side)
def test_fitting_within_both_sides_touches_one_and_keeps_the_ratio(size, width, height):
    fitted = fitted_size(size, width, height, False)
    assert_fitted(size, width, height, False, fitted)
    assert fitted in (fitted_size(size, width, None, False), fitted_size(size, None, height, False))


@pytest.mark.parametrize(
    ("size", "wishes", "expected"),
    [
        ((4000, 3000), (800, None), (800, 600)),
        ((4000, 3000), (None, 600), (800, 600)),
        ((4000, 3000), (800, 800), (800, 600)),
        ((100, 50), (1000, 1000), (1000, 500)),
        ((50, 100), (1000, 300), (150, 300)),
        ((10_000, 1), (100, None), (100, 1)),
        ((3, 2), (None, None), (3, 2)),
    ],
)
def test_fitting_scales_down_and_up(size, wishes, expected):
    width, height = wishes
    assert fitted_size(size, width, height, False) == expected


@pytest.mark.parametrize(
    ("angle", "expand", "expected"),
    [
        (90, True, (20, 30)),
        (-270, True, (20, 30)),
        (180, True, (30, 20)),
        (360, True, (30, 20)),
        (90, False, (30, 20)),
        (45, True, (36, 36)),
        (45, False, (30, 20)),
        (-1e-320, True, (30, 20)),
    ],
)
def test_rotation_grows_the_canvas_or_keeps_it(angle, expand, expected):
    assert rotated_size((30, 20), angle, expand) == expected


def test_a_side_that_follows_may_not_become_too_long():
    (problem,) = check_sizes((1, 10_000), CutoutOptions(width=10_000))
    assert (problem.field, problem.code) == ("w", "out_of_range")
    assert problem.message == (
        "'w' of 10000 would make the delivered image's height 100000000px,"
        " which exceeds the maximum allowed height of 10000px."
    )
    (problem,) = check_sizes((300, 20), CutoutOptions(height=1000))
    assert (problem.field, problem.code) == ("h", "out_of_range")
    assert check_sizes((1, 10_000), CutoutOptions(width=10_000, height=10_000)) == []
    assert check_sizes((1, 10_000), CutoutOptions(width=1)) == []
    assert check_sizes((10_000, 1), CutoutOptions(angle=90, height=10_000)) == []


@given(size=st.tuples(any_side, any_side), angle=angles, expand=st.booleans(), width=st.none() | any_side)
def test_nothing_that_is_accepted_exceeds_the_largest_webp(size, angle, expand, width):
    options = CutoutOptions(angle=angle, expand=expand, width=width)
    if not check_sizes(size, options):
        assert max(delivered_size(size, options)) <= 14_143


def test_the_weight_is_that_of_the_largest_canvas():
    jpeg, webp = ImageHeader("JPEG", 4000, 2000, 6), ImageHeader("WEBP", 4000, 2000, 1)
    assert peak_megapixels(jpeg, CutoutOptions()) == 8
    assert peak_megapixels(jpeg, CutoutOptions(width=100)) == 8
    assert peak_megapixels(jpeg, CutoutOptions(width=4000)) == 32
    assert peak_megapixels(jpeg, CutoutOptions(angle=45, width=100)) == pytest.approx(18, rel=0.01)
    assert 8 < peak_megapixels(webp, CutoutOptions()) < 16
