"""The second look: where the model looks again, and how its mattes are joined."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from imaging.core.matting.islands import SURE, clean, pieces
from imaging.core.matting.looks import find_boxes, look
from imaging.core.matting.matte import NetworkModel, Prediction
from imaging.core.options import CutoutOptions
from tests.bench.composites import background, composite, drawn
from tests.imaging.core.pictures import THREADS, WEIGHTS, cutout_of, file_bytes, needs_weights, opened

RED = (255, 0, 0)
SIDE = 64


class RedModel:
    """Takes all red pixels for the subject, and sees every image at 64 x 64 pixels, as a network does."""

    name = "red"

    def __init__(self, confidence=1.0):
        self.seen = []
        self.confidence = confidence

    def predict(self, image):
        self.seen.append(image.size)
        red = image.convert("RGB").getchannel("R").resize((SIDE, SIDE), Image.Resampling.BOX)
        sure = self.confidence if len(self.seen) > 1 else 1.0
        return Prediction(red, self.name, sure if red.getextrema()[1] else 0.0)


def scene(size, *boxes):
    image = Image.new("RGB", size)
    for box in boxes:
        image.paste(RED, box)
    return image


def at_full_size(prediction, size):
    return np.asarray(prediction.matte.resize(size, Image.Resampling.BOX), int)


@pytest.mark.parametrize("boxes", [[(0, 0, 640, 640)], [(60, 40, 580, 600)], [(0, 300, 640, 640)], []])
def test_a_subject_that_fills_the_frame_costs_one_look_and_keeps_every_bit(boxes):
    image, model = scene((640, 640), *boxes), RedModel()
    once = model.predict(image)
    result = look(image, model.predict, again=True)
    assert len(model.seen) == 2
    assert result.matte.tobytes() == once.matte.tobytes()
    assert result.model == "red"


def test_a_small_subject_is_looked_at_again_at_its_own_shape():
    image, model = scene((800, 640), (203, 301, 310, 399)), RedModel()
    result = look(image, model.predict, again=True)
    (whole, part), truth = model.seen, np.asarray(image.getchannel("R"), int)
    assert whole == (800, 640)
    assert 107 < part[0] < 220
    assert 98 < part[1] < 200
    assert result.model == "red; looks=2"
    once = look(image, RedModel().predict, again=False)
    errors = [np.abs(at_full_size(one, image.size) - truth).mean() for one in (once, result)]
    assert errors[1] < 0.5 * errors[0]


def test_it_looks_once_if_asked():
    image, model = scene((640, 640), (200, 300, 310, 400)), RedModel()
    assert look(image, model.predict, again=False).model == "red"
    assert len(model.seen) == 1


def test_a_further_look_that_finds_nothing_changes_nothing():
    image, model = scene((640, 640), (200, 300, 310, 400)), RedModel(confidence=0.1)
    result = look(image, model.predict, again=True)
    assert result.matte.tobytes() == RedModel().predict(image).matte.tobytes()
    assert (result.model, result.confidence) == ("red; looks=2", 1.0)


class FillingModel(RedModel):
    """Takes everything for the subject at the second look."""

    def predict(self, image):
        found = super().predict(image)
        return found if len(self.seen) == 1 else Prediction(Image.new("L", (SIDE, SIDE), 255), self.name, 1.0)


def test_a_further_look_that_finds_far_more_changes_nothing():
    image = scene((640, 640), (200, 300, 310, 400))
    result = look(image, FillingModel().predict, again=True)
    assert result.matte.tobytes() == RedModel().predict(image).matte.tobytes()


class ContradictingModel(RedModel):
    """Is as sure as `confidences`, and takes a strip of the box for the other thing at the second look."""

    def __init__(self, strip, value, confidences):
        super().__init__()
        self.strip, self.value, self.confidences = strip, value, confidences

    def predict(self, image):
        found = super().predict(image)
        if len(self.seen) > 1:
            found.matte.paste(self.value, self.strip)
        return Prediction(found.matte, found.model, self.confidences[min(len(self.seen), 2) - 1])


@pytest.mark.parametrize(("strip", "value"), [((0, 0, SIDE, 6), 255), ((0, 28, SIDE, 34), 0)])
@pytest.mark.parametrize(("first", "is_kept"), [(0.99, True), (0.9, False)])
def test_a_further_look_that_contradicts_a_sure_first_one_changes_nothing(strip, value, first, is_kept):
    image = scene((640, 640), (200, 200, 400, 400))
    result = look(image, ContradictingModel(strip, value, (first, 0.99)).predict, again=True)
    assert result.model == "red; looks=2"
    assert (result.matte.tobytes() == RedModel().predict(image).matte.tobytes()) is is_kept


def test_a_sure_first_look_gives_way_in_small_things():
    image = scene((640, 640), (200, 200, 400, 400))
    result = look(image, ContradictingModel((0, 28, SIDE, 29), 0, (0.99, 0.99)).predict, again=True)
    assert result.matte.tobytes() != RedModel().predict(image).matte.tobytes()


def test_the_inside_of_what_the_first_look_was_sure_of_stays():
    image = scene((640, 640), (200, 200, 400, 400))
    hole = ContradictingModel((0, 28, SIDE, 34), 0, (0.9, 0.99))
    found = np.asarray(at_full_size(look(image, hole.predict, again=True), image.size))
    assert found[240:360, 240:360].min() >= 0.9 * 255


class SingleMindedModel(RedModel):
    """Sees the left half alone at the second look."""

    def predict(self, image):
        found = super().predict(image)
        if len(self.seen) > 1:
            found.matte.paste(0, (SIDE // 2, 0, SIDE, SIDE))
        return found


def test_a_further_look_that_loses_one_of_two_subjects_changes_nothing():
    image = scene((640, 640), (100, 100, 220, 220), (270, 120, 370, 220))
    result = look(image, SingleMindedModel().predict, again=True)
    assert result.model == "red; looks=2"
    assert result.matte.tobytes() == RedModel().predict(image).matte.tobytes()


def test_two_subjects_both_stay():
    """Also one too small to count for the box."""
    image = scene((640, 640), (100, 100, 220, 220), (270, 120, 370, 220), (600, 600, 620, 620))
    result = look(image, RedModel().predict, again=True)
    matte = at_full_size(result, image.size)
    assert result.model == "red; looks=2"
    for point in ((160, 160), (170, 320), (610, 610)):
        assert matte[point] > 230
    assert matte[400:500, 100:500].max() < 10


class DoubtfulModel(RedModel):
    """Sees everything less strongly at the first look."""

    def predict(self, image):
        found = super().predict(image)
        matte = found.matte.point([value * 3 // 5 for value in range(256)]) if len(self.seen) == 1 else found.matte
        return Prediction(matte, found.model, found.confidence)


def test_looks_are_joined_without_a_seam():
    image = scene((640, 640), (240, 240, 360, 400))
    hazy = Image.composite(image, Image.new("RGB", image.size, (60, 0, 0)), image.getchannel("R"))
    matte = np.asarray(look(hazy, DoubtfulModel().predict, again=True).matte, int)
    # From the haze of the first look through that of the second and back, next to the subject.
    column = matte[:, 225 * matte.shape[1] // 640]
    assert (column.min(), column.max()) == (36, 60)
    assert np.abs(np.diff(column)).max() <= 8


@pytest.mark.parametrize(("size", "box"), [((1800, 400), (20, 60, 1780, 340)), ((400, 1800), (60, 20, 340, 1780))])
def test_a_very_wide_or_tall_image_is_seen_in_overlapping_windows(size, box):
    image, model = scene(size, box), RedModel()
    result = look(image, model.predict, again=True)
    assert result.model == "red; looks=4"
    for width, height in model.seen[1:]:
        assert max(width, height) < 2.5 * min(width, height)
    boxes = find_boxes(RedModel().predict(image).matte, size)
    long = 0 if size[0] > size[1] else 1
    assert all(first[long + 2] > second[long] for first, second in itertools.pairwise(boxes))
    truth = np.asarray(image.getchannel("R"), int)
    errors = [np.abs(at_full_size(one, size) - truth).mean() for one in (RedModel().predict(image), result)]
    assert errors[1] < 0.8 * errors[0]


class SqueezedModel(RedModel):
    """Does not see the middle at the first look."""

    def predict(self, image):
        found = super().predict(image)
        if len(self.seen) == 1:
            found.matte.paste(0, (28, 0, 36, SIDE))
        return found


def test_a_window_adds_a_subject_that_the_first_look_was_sure_not_to_see():
    image = scene((1800, 400), (20, 60, 1780, 340))
    result = look(image, SqueezedModel().predict, again=True)
    assert at_full_size(result, image.size)[200, 900] > 200


@given(
    st.tuples(st.integers(70, 900), st.integers(70, 900)),
    st.tuples(*[st.floats(0, 1)] * 4),
)
@settings(derandomize=True, deadline=None, max_examples=60)
def test_boxes_lie_in_the_image_and_hold_the_subject(size, place):
    left, right = sorted((round(place[0] * size[0]), round(place[2] * size[0])))
    top, bottom = sorted((round(place[1] * size[1]), round(place[3] * size[1])))
    subject = left, top, min(size[0], right + 20), min(size[1], bottom + 20)
    model = RedModel()
    matte = model.predict(scene(size, subject)).matte
    boxes = find_boxes(matte, size)
    for box in boxes:
        assert 0 <= box[0] < box[2] <= size[0]
        assert 0 <= box[1] < box[3] <= size[1]
    result = look(scene(size, subject), model.predict, again=True)
    assert max(side / whole for side, whole in zip(result.matte.size, (SIDE, SIDE), strict=True)) <= 4


mattes = arrays(np.float32, st.tuples(st.integers(1, 40), st.integers(1, 40)), elements=st.floats(0, 1, width=32))


@given(mattes)
@settings(derandomize=True, deadline=None)
def test_nothing_that_the_network_is_sure_of_disappears(response):
    result = clean(response)
    sure = response > SURE
    assert (result[sure] == response[sure]).all()
    assert ((result >= 0) & (result <= 1)).all()


def test_specks_and_pinholes_go_and_a_second_subject_stays():
    response = np.zeros((320, 320), np.float32)
    response[100:200, 100:200] = 1
    response[150:152, 150:152] = 0.5  # an unsure pinhole
    response[170:172, 150:152] = 0.02  # a sure one: a ring's
    response[10:14, 300:304] = 0.6  # an unsure speck
    response[10:14, 10:14] = 0.95  # a sure one
    response[250:300, 250:300] = 0.7  # an unsure second subject
    response[205:208, 150:153] = 0.6  # a tuft next to the subject
    result = clean(response)
    expected = response.copy()
    expected[150:152, 150:152], expected[10:14, 300:304] = 1, 0
    np.testing.assert_array_equal(result, expected)


@given(arrays(np.bool_, st.tuples(st.integers(1, 12), st.integers(1, 12))))
@settings(derandomize=True, deadline=None)
def test_pieces_are_those_of_a_flood(mask):
    left = {(int(row), int(column)) for row, column in np.argwhere(mask)}
    expected = set()
    while left:
        waiting, piece = [left.pop()], set()
        while waiting:
            row, column = waiting.pop()
            piece.add((row, column))
            for near in ((row + 1, column), (row - 1, column), (row, column + 1), (row, column - 1)):
                if near in left:
                    left.remove(near)
                    waiting.append(near)
        expected.add(frozenset(piece))
    found = pieces(mask)
    pixels = {frozenset((row, x) for row, start, end in piece.runs for x in range(start, end)) for piece in found}
    assert pixels == expected
    for one in found:
        rows, columns = zip(*((row, x) for row, start, end in one.runs for x in range(start, end)), strict=True)
        assert one.box == (min(columns), min(rows), max(columns) + 1, max(rows) + 1)
        assert one.area == len(rows)


def test_a_cutout_looks_twice_unless_it_is_to_be_fast():
    data = file_bytes(scene((640, 640), (200, 300, 310, 400)))
    model = RedModel()
    both = [cutout_of(data, model, format="png", detail=detail) for detail in ("auto", "fast")]
    assert [result.model for result in both] == ["red; looks=2", "red"]
    assert opened(both[0]).size == (640, 640)
    assert CutoutOptions().detail == "auto"


@needs_weights
def test_the_network_sees_small_subjects_better_the_second_time():
    """The small version of tests/bench/bench_quality.py."""
    from imaging.core.matting.engines import OnnxRuntimeEngine

    model = NetworkModel(OnnxRuntimeEngine(WEIGHTS, threads=THREADS), name="u2net")
    errors = []
    for ground in ("gravel", "plain cool"):
        subject = drawn("star")
        made = composite("star", 1 / 4, subject, background(ground, (800, 800)), np.random.default_rng(4))
        truth = np.asarray(made.alpha, float)
        for again in (False, True):
            found = look(made.image, model.predict, again=again).matte.resize(made.image.size, Image.Resampling.BICUBIC)
            errors.append(np.abs(np.asarray(found, float) - truth).mean() / 255)
    assert errors[1] < 0.6 * errors[0]
    assert errors[3] < 0.6 * errors[2]
