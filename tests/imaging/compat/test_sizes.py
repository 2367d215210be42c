"""The size classes: how large the result is, and what it costs."""

import pytest

from imaging.compat import sizes
from tests.imaging.compat.conftest import blank

# 24 megapixels, and 96.
LARGE, HUGE = (6000, 4000), (9800, 9800)


@pytest.mark.parametrize(
    ("upright", "size_class", "is_png", "expected"),
    [
        # Recorded from the real service.
        ((2400, 1600), "small", False, (612, 408)),
        ((5184, 3456), "4k", True, (3873, 2582)),
        ((625, 400), "preview", True, (625, 400)),
        # Each class.
        ((2400, 1600), "preview", False, (612, 408)),
        ((2400, 1600), "regular", False, (612, 408)),
        ((2400, 1600), "medium", False, (1500, 1000)),
        (LARGE, "hd", False, (2449, 1633)),
        (LARGE, "full", False, LARGE),
        (HUGE, "full", False, (5000, 5000)),
        (HUGE, "4k", False, (5000, 5000)),
        (HUGE, "auto", False, (5000, 5000)),
        (HUGE, "50mp", False, (7071, 7071)),
        *((HUGE, name, True, (3162, 3162)) for name in ("full", "4k", "auto", "50mp")),
        # Never enlarged, never empty.
        ((500, 333), "50mp", False, (500, 333)),
        ((1, 10_000), "preview", False, (1, 10_000)),
        ((10_000, 26), "preview", False, (9806, 25)),
    ],
)
def test_the_size_of_the_result(upright, size_class, is_png, expected):
    assert sizes.result_size(upright, size_class, is_png=is_png) == expected


@pytest.mark.parametrize(
    ("upright", "size_class", "is_preview"),
    [
        *(((4000, 3000), name, True) for name in ("preview", "small", "regular")),
        *(((4000, 3000), name, False) for name in ("medium", "hd", "full", "4k", "50mp", "auto")),
        # Recorded: 500 x 333 with `auto` cost 0.25, 720 x 1080 cost 1.
        ((500, 333), "auto", True),
        ((720, 1080), "auto", False),
        ((500, 333), "full", False),
    ],
)
def test_what_costs_a_preview(upright, size_class, is_preview):
    assert sizes.is_preview(size_class, upright) is is_preview


@pytest.mark.parametrize(
    ("size", "megapixels"),
    [((625, 400), 1), ((1600, 1200), 2), ((2500, 1600), 4), ((4000, 2500), 10), ((6250, 4000), 25), ((1, 1), 1)],
)
def test_megapixels_count_rounded_up(size, megapixels):
    assert sizes.counted_megapixels(size) == megapixels


def test_each_class_on_the_endpoint(removebg):
    image = blank(2400, 1600)
    for size_class, expected, charged in (
        ("", (612, 408), "0.25"), ("small", (612, 408), "0.25"), ("medium", (1500, 1000), "1"), ("FULL", (2400, 1600), "1"),
        ("50MP", (2400, 1600), "1"), ("auto", (2400, 1600), "1"),
    ):  # fmt: skip
        answer = removebg(image, size=size_class)
        assert answer.size == answer.image.size == expected, size_class
        assert answer.headers["X-Credits-Charged"] == charged
        assert (answer.headers["X-Max-Width"], answer.headers["X-Max-Height"]) == ("2400", "1600")


def test_a_crop_changes_no_price_and_is_cut_at_the_results_scale(removebg):
    answer = removebg(blank(2400, 1600), crop="true", size="full")
    assert answer.headers["X-Credits-Charged"] == "1"
    # The ellipse of the stand-in touches all sides.
    assert removebg(blank(2400, 1600), crop="true").size == (612, 408)
