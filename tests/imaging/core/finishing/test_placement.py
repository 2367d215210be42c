"""Sizes and places of finished images: what the documentation promises, computed here a second time."""

import io
import json
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.errors import UnsatisfiedAssumption
from PIL import Image

from imaging.core.codecs.headers import read_header
from imaging.core.finishing.arranging import find_subject
from imaging.core.finishing.placement import place
from imaging.core.geometry import find_region, largest_canvas, peak_megapixels
from imaging.core.matting.matte import Prediction
from imaging.core.options import CutoutOptions, parse_options
from imaging.core.pipeline import cut_out
from imaging.core.presets import PRESETS
from imaging.core.problems import ImageRefused
from tests.imaging.core.pictures import file_bytes, photo

sides = st.integers(1, 300)
targets = st.integers(1, 500)
percents = st.integers(0, 50)


@st.composite
def scenes(draw, least=1):
    """An image's size and a subject's box in it."""
    size = draw(sides.filter(lambda side: side >= least)), draw(sides.filter(lambda side: side >= least))
    left, top = draw(st.integers(0, size[0] - 1)), draw(st.integers(0, size[1] - 1))
    return size, (left, top, draw(st.integers(left + 1, size[0])), draw(st.integers(top + 1, size[1])))


def placed(size, box, **fields):
    options, problems = parse_options(fields)
    if problems:
        # Margins that leave no room.
        raise UnsatisfiedAssumption
    return place(size, box, options)


def extent(box):
    return box[2] - box[0], box[3] - box[1]


def assert_inside(placement):
    (x, y), size, canvas = placement.place, placement.size, placement.canvas
    assert x >= 0 and y >= 0
    assert x + size[0] <= canvas[0] and y + size[1] <= canvas[1]
    assert min(size) >= 1


def assert_undistorted(placement):
    """The ratio within a pixel of the shorter side."""
    (width, height), (source_width, source_height) = placement.size, extent(placement.source)
    scale = max(Fraction(width, source_width), Fraction(height, source_height))
    assert abs(width - source_width * scale) <= 1 or abs(height - source_height * scale) <= 1
    assert abs(Fraction(width, source_width) - Fraction(height, source_height)) * min(source_width, source_height) <= 1.01


@settings(derandomize=True, database=None, deadline=None)
@given(scene=scenes())
def test_without_new_fields_the_whole_image_stays_where_it_is(scene):
    size, box = scene
    placement = placed(size, box)
    assert (placement.source, placement.size, placement.canvas, placement.place) == ((0, 0, *size), size, size, (0, 0))
    assert placement.subject == box


@settings(derandomize=True, database=None, deadline=None)
@given(scene=scenes(), snap=st.booleans())
def test_crop_is_the_subjects_box(scene, snap):
    size, box = scene
    placement = placed(size, box, crop="true", snap=str(snap))
    assert placement.source == placement.subject == box
    assert placement.size == placement.canvas == extent(box)
    assert placement.place == (0, 0)


@settings(derandomize=True, database=None, deadline=None)
@given(scene=scenes(), margins=st.tuples(percents, st.integers(0, 500), percents, st.integers(0, 500)))
def test_margins_are_in_the_order_of_css_and_in_their_units(scene, margins):
    size, box = scene
    top, right, bottom, left = margins
    placement = placed(size, box, crop="1", snap="0", crop_margin=f"{top}% {right}px {bottom}% {left}")
    width, height = extent(box)
    above, below = (int(Fraction(height * share, 100) + Fraction(1, 2)) for share in (top, bottom))
    assert placement.place == (left, above)
    assert placement.canvas == (left + width + right, above + height + below)


@pytest.mark.parametrize("text", ["10px", "10px 10px", "10 10 10 10", "10,10", " 10PX  10px "])
def test_one_two_and_four_margins(text):
    placement = placed((100, 100), (20, 30, 60, 50), crop="1", crop_margin=text)
    assert placement.canvas == (60, 40)


@settings(derandomize=True, database=None, deadline=None)
@given(scene=scenes(), margin=st.integers(1, 50))
def test_a_margin_ends_where_the_subject_is_cut_off_by_the_image(scene, margin):
    size, box = scene
    assume(box != (0, 0, *size))
    placement = placed(size, box, crop="1", crop_margin=f"{margin}px")
    left, top, right, bottom = box
    x, y = placement.place
    assert (x, y) == (0 if left == 0 else margin, 0 if top == 0 else margin)
    after = placement.canvas[0] - x - placement.size[0], placement.canvas[1] - y - placement.size[1]
    assert after == (0 if right == size[0] else margin, 0 if bottom == size[1] else margin)


@settings(derandomize=True, database=None, deadline=None)
@given(
    scene=scenes(),
    w=st.none() | targets,
    h=st.none() | targets,
    margin=st.integers(0, 50),
    unit=st.sampled_from(["px", "%"]),
)
def test_a_crop_is_resized_with_its_margins(scene, w, h, margin, unit):
    size, box = scene
    assume(w or h)
    fields = {"w": str(w or ""), "h": str(h or ""), "crop": "1", "snap": "0", "crop_margin": f"{margin}{unit}"}
    placement = placed(size, box, **fields)
    assert_inside(placement)
    assert w is None or placement.canvas[0] <= w
    assert h is None or placement.canvas[1] <= h
    assert placement.canvas[0] == w or placement.canvas[1] == h
    if unit == "px" and placement.size != (1, 1) and min(placement.size) > 1:
        assert placement.place == (margin, margin)


@settings(derandomize=True, database=None, deadline=None)
@given(scene=scenes(), w=targets, h=targets, margin=st.integers(0, 50))
def test_an_exact_crop_has_exactly_that_size(scene, w, h, margin):
    for fields in ({"exact_resize": "true"}, {"fit": "exact", "exact_resize": "false"}):
        placement = placed(*scene, w=str(w), h=str(h), crop="1", crop_margin=f"{margin}%", **fields)
        assert placement.canvas == (w, h)
        assert_inside(placement)


@settings(derandomize=True, database=None, deadline=None)
@given(
    scene=scenes(),
    w=targets,
    h=targets,
    padding=st.tuples(*[st.integers(0, 45)] * 4),
    position=st.none() | st.tuples(st.integers(0, 100), st.integers(0, 100)),
    crop=st.booleans(),
)
def test_fit_pad_fills_the_room_and_distorts_nothing(scene, w, h, padding, position, crop):
    size, box = scene
    fields = {"w": str(w), "h": str(h), "fit": "pad", "padding": " ".join(f"{side}%" for side in padding), "snap": "0"}
    if position:
        fields["position"] = "{}% {}%".format(*position)
    placement = placed(size, box, crop=str(crop), **fields)
    assert placement.canvas == (w, h)
    assert placement.source == (box if crop else (0, 0, *size))
    assert_inside(placement)
    top, right, bottom, left = (
        int(Fraction(side * whole, 100) + Fraction(1, 2)) for side, whole in zip(padding, (h, w, h, w), strict=True)
    )
    room = max(1, w - left - right), max(1, h - top - bottom)
    assert placement.size[0] == room[0] or placement.size[1] == room[1]
    assert placement.size[0] <= room[0] and placement.size[1] <= room[1]
    assert_undistorted(placement)
    across, down = position or (50, 50)
    expected = (
        left + Fraction((room[0] - placement.size[0]) * across, 100),
        top + Fraction((room[1] - placement.size[1]) * down, 100),
    )
    assert all(abs(got - wish) <= Fraction(1, 2) for got, wish in zip(placement.place, expected, strict=True))


@settings(derandomize=True, database=None, deadline=None)
@given(scene=scenes(), w=targets, h=targets)
def test_a_cut_off_subject_stays_at_its_side_of_the_canvas(scene, w, h):
    size, box = scene
    assume(box != (0, 0, *size))
    placement = placed(size, box, w=str(w), h=str(h), fit="pad", padding="10%")
    left, top, right, bottom = box[0] == 0, box[1] == 0, box[2] == size[0], box[3] == size[1]
    if left and not right:
        assert placement.place[0] == 0
    if right and not left:
        assert placement.place[0] + placement.size[0] == w
    if top and not bottom:
        assert placement.place[1] == 0
    if bottom and not top:
        assert placement.place[1] + placement.size[1] == h


def test_a_region_of_interest_cuts_subjects_off_too():
    placement = placed((200, 100), (40, 0, 100, 60), roi="40px 0 100px 60px", w="100", h="100", fit="pad", padding="10%")
    # It touches left and right, top and bottom: all padding is gone, and it is centred.
    assert (placement.size, placement.place) == ((100, 100), (0, 0))
    placement = placed((200, 100), (50, 10, 90, 60), roi="40px 0 100px 60px", w="100", h="100", fit="pad", padding="10%")
    assert placement.place[1] + placement.size[1] == 100


@settings(derandomize=True, database=None, deadline=None)
@given(scene=scenes(), scale=st.integers(10, 100), position=st.none() | st.integers(0, 100))
def test_scale_is_the_subjects_share_of_the_canvas(scene, scale, position):
    size, box = scene
    fields = {} if position is None else {"position": f"{position}%"}
    placement = placed(size, box, scale=f"{scale}%", **fields)
    assert placement.canvas == size
    assert_inside(placement)
    fits = [abs(got - max(1, whole * scale / 100)) <= 1 for got, whole in zip(placement.size, size, strict=True)]
    assert any(fits)
    share = 50 if position is None else position
    for at, length, whole in zip(placement.place, placement.size, size, strict=True):
        assert abs(at - (whole - length) * share / 100) <= 0.5001
    assert placement.subject == (
        *placement.place,
        placement.place[0] + placement.size[0],
        placement.place[1] + placement.size[1],
    )


@pytest.mark.parametrize(
    ("position", "corner"),
    [
        ("center", (30, 40)),
        ("0%", (0, 0)),
        ("100%", (60, 80)),
        ("0 100%", (0, 80)),
        ("25% 75%", (15, 60)),
        ("original", (10, 5)),
    ],
)
def test_position_moves_the_subject(position, corner):
    placement = placed((100, 100), (10, 5, 50, 25), position=position)
    at = placement.subject[:2]
    assert (at, extent(placement.subject)) == (corner, (40, 20))


@settings(derandomize=True, database=None, deadline=None)
@given(
    scene=scenes(),
    w=st.none() | targets,
    h=st.none() | targets,
    crop=st.booleans(),
    margin=percents,
    exact=st.booleans(),
    pad=st.booleans(),
)
def test_no_canvas_is_larger_than_foreseen(scene, w, h, crop, margin, exact, pad):
    size, box = scene
    fields = {
        "w": str(w or ""),
        "h": str(h or ""),
        "crop": str(crop),
        "crop_margin": f"{margin}%",
        "exact_resize": str(exact),
    }
    options, problems = parse_options({**fields, **({"fit": "pad"} if pad else {})})
    assume(not problems)
    placement, largest = place(size, box, options), largest_canvas(size, options)
    assert all(got <= most or got > 10_000 for got, most in zip(placement.canvas, largest, strict=True))


@settings(derandomize=True, database=None, deadline=None)
@given(fields=st.permutations(["crop", "crop_margin", "w", "h", "fit", "padding", "bg_color", "preset", "scale"]))
def test_the_order_of_the_fields_does_not_matter(fields):
    values = {
        "crop": "1", "crop_margin": "3px", "w": "200", "h": "100", "fit": "pad", "padding": "5px", "bg_color": "red",
        "preset": "ebay", "scale": "50",
    }  # fmt: skip
    assert parse_options({name: values[name] for name in fields}) == parse_options(values)


class BoxModel:
    """Takes a box for the subject, in shares of the image."""

    name = "box"

    def __init__(self, left=0.25, top=0.25, right=0.75, bottom=0.75, faint=0):
        self.shares, self.faint = (left, top, right, bottom), faint

    def predict(self, image):
        matte = Image.new("L", image.size, self.faint)
        left, top, right, bottom = (
            round(share * side) for share, side in zip(self.shares, (*image.size, *image.size), strict=True)
        )
        matte.paste(255, (left, top, right, bottom))
        return Prediction(matte, "box", 1.0)


def cutout(fields, model=None, size=(80, 60)):
    data = file_bytes(photo(size))
    options, problems = parse_options(fields)
    assert problems == []
    result = cut_out(io.BytesIO(data), read_header(io.BytesIO(data)), options, model or BoxModel())
    image = Image.open(io.BytesIO(result.data))
    assert image.size == (result.width, result.height)
    return image, result


@settings(derandomize=True, database=None, deadline=None, max_examples=60)
@given(
    size=st.tuples(st.integers(4, 90), st.integers(4, 90)),
    fields=st.fixed_dictionaries(
        {},
        optional={
            "crop": st.sampled_from(["true", "false"]),
            "crop_margin": st.sampled_from(["10%", "3px 5%", "1 2 3 4"]),
            "w": st.integers(20, 120).map(str),
            "h": st.integers(20, 120).map(str),
            "fit": st.sampled_from(["inside", "exact", "pad"]),
            "padding": st.sampled_from(["10%", "2px"]),
            "scale": st.integers(10, 100).map(str),
            "position": st.sampled_from(["center", "original", "0% 100%"]),
            "angle": st.sampled_from(["0", "90", "30"]),
            "mask": st.sampled_from(["true", "false"]),
            "snap": st.sampled_from(["true", "false"]),
        },
    ),
)
def test_what_is_delivered_is_what_was_placed(size, fields):
    options, problems = parse_options({**fields, "format": "png"})
    assume(not problems)
    image, result = cutout({**fields, "format": "png"}, size=size)
    assert image.mode == ("L" if options.mask else "RGBA")
    left, top, width, height = result.foreground
    alpha = image if options.mask else image.getchannel("A")
    found = find_subject(alpha)
    if options.angle != 30 and found and min(size) > 8 and min(width, height) > 4:
        # Enlarging spreads alpha over about one pixel of the input on each side.
        spread = 1 + max(1.0, max(image.size) / min(size))
        assert max(abs(found[2] - found[0] - width), abs(found[3] - found[1] - height)) <= 2 * spread
        if not options.crop:
            assert max(abs(found[0] - left), abs(found[1] - top)) <= spread


def test_a_crop_keeps_every_pixel_of_the_subject():
    whole, result = cutout({"format": "png"})
    left, top, width, height = result.foreground
    assert (left, top, width, height) == (20, 15, 40, 30)
    cropped, facts = cutout({"format": "png", "crop": "true"})
    assert cropped.tobytes() == whole.crop((left, top, left + width, top + height)).tobytes()
    # So that a crop can be put back.
    assert facts.foreground == result.foreground


def test_faint_alpha_does_not_widen_the_box():
    assert cutout({"format": "png"}, BoxModel(faint=9))[1].foreground == (20, 15, 40, 30)
    assert cutout({"format": "png"}, BoxModel(faint=10))[1].foreground == (0, 0, 80, 60)


@pytest.mark.parametrize(
    "fields", [{}, {"crop": "1"}, {"w": "50", "h": "50", "fit": "pad"}, {"scale": "50"}, {"shadow": "contact"}]
)
def test_without_a_subject_the_whole_image_is_its_place(fields):
    image, result = cutout({"format": "png", **fields}, BoxModel(0, 0, 0, 0))
    assert result.foreground == (0, 0, 0, 0)
    assert image.getextrema()[3] == (0, 0)
    assert image.size == ((50, 50) if "w" in fields else (80, 60))


def test_a_crop_that_would_be_too_long_is_refused():
    with pytest.raises(ImageRefused) as refused:
        cutout({"crop": "1", "w": "9000"}, BoxModel(0.5, 0, 0.51, 1))
    (problem,) = refused.value.problems
    assert (problem.field, problem.code) == ("h", "out_of_range")


class SeenModel:
    """Takes everything it sees for the subject."""

    name = "seen"

    def predict(self, image):
        self.size = image.size
        return Prediction(Image.new("L", image.size, 255), "seen", 1.0)


@pytest.mark.parametrize(
    ("roi", "box"),
    [
        ("10px 5px 50px 45px", (10, 5, 50, 45)),
        ("25% 50% 75% 100%", (20, 30, 60, 60)),
        ("0 0 100% 100%", (0, 0, 80, 60)),
        ("8 10% 50% 40", (8, 6, 40, 40)),
    ],
)
def test_outside_the_roi_everything_is_background(roi, box):
    model = SeenModel()
    image, result = cutout({"format": "png", "roi": roi}, model)
    assert model.size == extent(box)
    alpha = np.asarray(image)[..., 3]
    expected = np.zeros_like(alpha)
    expected[box[1] : box[3], box[0] : box[2]] = 255
    assert (alpha == expected).all()
    assert result.foreground == (*box[:2], *extent(box))


def test_the_whole_roi_is_none():
    assert find_region((80, 60), ((0, "%"), (0, "px"), (100, "%"), (60, "px"))) is None


@pytest.mark.parametrize("name", PRESETS)
def test_presets_make_what_they_promise(name):
    fields = PRESETS[name].fields
    side = int(fields["w"])
    image, _ = cutout({"preset": name}, BoxModel(0.2, 0.3, 0.6, 0.5), size=(400, 300))
    assert image.size == (side, side)
    assert image.format == "JPEG"
    assert image.getpixel((0, 0)) == (255, 255, 255)
    found = np.nonzero((np.asarray(image.convert("L")) < 250).any(axis=0))[0]
    share = (found[-1] + 1 - found[0]) / side
    padding = int(fields["padding"].removesuffix("%")) / 100
    assert share == pytest.approx(1 - 2 * padding, abs=0.01)
    if name in ("amazon", "walmart"):
        assert share >= 0.85
    if name == "google":
        assert 0.75 <= share <= 0.9


def test_a_field_beside_a_preset_wins():
    image, _ = cutout({"preset": "Amazon", "w": "300", "h": "200", "bg_color": "#ff0000", "format": "png"})
    assert (image.size, image.format, image.getpixel((0, 0))) == ((300, 200), "PNG", (255, 0, 0))
    # What clients send always is no choice.
    assert cutout({"preset": "amazon", "w": "0", "h": "0", "exact_resize": "false", "mask": "false"})[0].size == (2000, 2000)
    options, problems = parse_options({"preset": "amazon", "mask": "true"})
    assert (problems, options.mask, options.background) == ([], True, None)
    options, problems = parse_options({"preset": "amazon", "bg_blur": "20"})
    assert (problems, options.background) == ([], None)


def test_options_survive_json():
    fields = {
        "crop": "1", "crop_margin": "1% 2px", "roi": "0 0 50% 50%", "scale": "40", "position": "10% 20%", "w": "90",
        "h": "80", "fit": "pad", "padding": "3%", "bg_blur": "7", "shadow": "drop", "shadow_offset": "-1% 2px",
        "shadow_blur": "3px", "shadow_color": "#123", "shadow_opacity": "5", "quality": "50", "dpi": "300", "snap": "no",
        "decontaminate": "no", "detail": "FAST",
    }  # fmt: skip
    options, problems = parse_options(fields)
    assert problems == []
    assert CutoutOptions.from_json(json.loads(json.dumps(options.to_json()))) == options
    assert CutoutOptions().to_json() == {}


def test_the_weight_of_a_crop_is_that_of_its_largest_canvas():
    header = read_header(io.BytesIO(file_bytes(photo((1000, 500)))))
    assert peak_megapixels(header, parse_options({"crop": "1", "w": "2000", "h": "3000"})[0]) == 6
    assert peak_megapixels(header, parse_options({"fit": "pad", "w": "2000", "h": "3000"})[0]) == 6
    assert peak_megapixels(header, parse_options({"crop": "1"})[0]) == 0.5
