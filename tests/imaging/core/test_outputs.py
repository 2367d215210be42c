"""Several results of one image: how the list is read, and that each result is what a separate call delivers."""

import io
import json

import pytest

from imaging.core.codecs.headers import ImageHeader, read_header
from imaging.core.geometry import peak_megapixels, peak_of_outputs
from imaging.core.options import CutoutOptions, UnknownOption, parse_options
from imaging.core.outputs import NOT_A_LIST, Output, outputs_from_json, outputs_to_json, parse_outputs
from imaging.core.pipeline import BackgroundImage, cut_out
from imaging.core.problems import ImageRefused
from tests.imaging.core.pictures import EllipseModel, file_bytes, opened, photo


def parsed(*rows, files=(), **shared):
    outputs, problems = parse_outputs({**shared, "outputs": json.dumps(rows)}, files)
    assert problems == []
    return [output.options for output in outputs]


def problems_of(*rows, files=(), **shared):
    found = parse_outputs({**shared, "outputs": json.dumps(rows)}, files)[1]
    return [(problem.field, problem.code) for problem in found]


def test_options_stand_in_place_of_the_shared_ones():
    first, second, third = parsed({}, {"w": 40, "format": "png"}, {"h": None, "angle": 1.5}, format="jpeg", w="20", h="10")
    assert first == parse_options({"format": "jpeg", "w": "20", "h": "10"})[0]
    assert second == parse_options({"format": "png", "w": "40", "h": "10"})[0]
    assert third == parse_options({"format": "jpeg", "w": "20", "angle": "1.5"})[0]


def test_values_may_be_text_numbers_booleans_or_null():
    (options,) = parsed({"w": "40", "h": 30, "exact_resize": True, "crop": "no", "quality": None, "angle": -90})
    assert options == CutoutOptions(width=40, height=30, exact_resize=True, angle=-90)


def test_the_matte_is_the_same_for_all():
    options = parsed({}, {"mask": True}, model="u2netp", roi="0 0 5 5")
    assert [one.model for one in options] == ["u2netp"] * 2
    assert options[0].roi == options[1].roi is not None
    assert problems_of({"model": "u2net"}, {"roi": None}, {"detail": "fast"}) == [
        ("outputs[0].model", "invalid_output_option"),
        ("outputs[1].roi", "invalid_output_option"),
        ("outputs[2].detail", "invalid_output_option"),
    ]


def test_a_preset_of_an_output_wins_over_all_that_is_shared():
    plain, amazon, mine = parsed(
        {},
        {"preset": "amazon"},
        {"preset": "amazon", "format": "png", "bg_color": None},
        format="webp",
        w="30",
        preset="etsy",
    )
    assert (plain.format, plain.width, plain.pad, plain.dpi) == ("webp", 30, True, 72)
    assert (amazon.format, amazon.width, amazon.background) == ("jpeg", 2000, (255, 255, 255, 255))
    assert (mine.format, mine.width, mine.background) == ("png", 2000, None)


def test_a_background_takes_the_place_of_any_other():
    image, white, blurred, none, mask = parsed(
        {}, {"bg_color": "#fff"}, {"bg_blur": 20}, {"bg_image": None}, {"mask": True}, files=("bg_image",), shadow="drop"
    )
    assert [one.background_image for one in (image, white, blurred, none, mask)] == [True, False, False, False, False]
    assert (white.background, blurred.background_blur, none.background) == ((255, 255, 255, 255), 20, None)
    assert (mask.mask, mask.shadow, none.shadow) == (True, "none", "drop")
    kept, gone = parsed({"bg_blur": 0}, {"bg_image_url": None}, bg_image_url="https://example.com/b.png")
    assert (kept.background_image, gone.background_image) == (True, False)


def test_what_only_an_output_completes_is_no_problem_of_all():
    (options,) = parsed({"w": 40, "h": 30}, fit="pad")
    assert (options.pad, options.width) == (True, 40)
    assert problems_of({"w": 40}, fit="pad") == [("outputs[0].fit", "missing_size")]


def test_every_problem_is_found_in_one_pass_with_its_place():
    rows = [{"w": 0.5, "colour": 1}, {"mask": True, "bg_color": "red", "name": "A"}, {"crop": [1], "bg_image": "b.png"}]
    problems = parse_outputs({"outputs": json.dumps(rows), "angle": "500"})[1]
    assert [(problem.field, problem.code) for problem in problems] == [
        ("angle", "out_of_range"),
        ("outputs[0].colour", "invalid_output_option"),
        ("outputs[0].w", "invalid_integer"),
        ("outputs[1].name", "invalid_output_name"),
        ("outputs[1].mask", "mask_with_bg_color"),
        ("outputs[2].crop", "invalid_output_option"),
        ("outputs[2].bg_image", "invalid_output_option"),
    ]
    assert problems[2].message == "outputs[0]: 'w' must be an integer, got: '0.5'"
    assert problems[6].message == "outputs[2]: 'bg_image' is one for all outputs: send it next to 'outputs'."


@pytest.mark.parametrize("name", ["", None, "white", "a" * 32, "0_-z"])
def test_names(name):
    outputs, problems = parse_outputs({"outputs": json.dumps([{"name": name}, {}])})
    assert ([output.name for output in outputs], problems) == ([name or "", ""], [])


@pytest.mark.parametrize("name", ["A", "a" * 33, "../x", "a b", "é", "a\n", True, [], "\ud800"])
def test_names_that_are_none(name):
    (problem,) = parse_outputs({"outputs": json.dumps([{"name": name}])})[1]
    assert (problem.field, problem.code) == ("outputs[0].name", "invalid_output_name")
    assert problem.message.encode()


def test_a_name_is_given_once():
    (problem,) = parse_outputs({"outputs": json.dumps([{"name": "a"}, {"name": "b"}, {"name": "a"}])})[1]
    assert (problem.field, problem.message) == ("outputs[2].name", "outputs[2]: 'name' is 'a', as that of outputs[0]")


@pytest.mark.parametrize(
    "text",
    ["", "nothing", "{}", "[]", "[1]", "[[]]", "null", '[{"w": 5}', "[{}]" * 2, "[" + "{}," * 5 + "{}]", "[" * 8000, "\x00"],
)
def test_what_is_no_list_of_objects(text):
    assert parse_outputs({"outputs": text}) == ([], [NOT_A_LIST])


@pytest.mark.parametrize("value", ["1e999", "NaN", "-Infinity", "9" * 5000, '"\\ud800"', '"\\u0000"'])
def test_odd_values_are_refused_in_words_that_can_be_sent(value):
    (problem,) = parse_outputs({"outputs": f'[{{"angle": {value}}}]'})[1]
    assert problem.field == "outputs[0].angle"
    assert len(problem.message.encode()) < 300


def test_outputs_travel_as_json_and_are_no_options_to_the_release_before():
    outputs, _ = parse_outputs({"outputs": '[{"name": "a", "w": 5, "bg_color": "red"}, {"mask": true}]'})
    stored = json.loads(json.dumps(outputs_to_json(outputs)))
    assert outputs_from_json(stored) == outputs
    with pytest.raises(UnknownOption):
        CutoutOptions.from_json(stored)
    assert outputs_from_json({"width": 5}) == [Output("", CutoutOptions(width=5))]
    with pytest.raises(UnknownOption):
        outputs_from_json({"outputs": [{"name": "", "options": {"brightness": 7}}]})


class CountingModel(EllipseModel):
    calls = 0

    def predict(self, image):
        self.calls += 1
        return super().predict(image)


EACH = (
    {"format": "png"},
    {"format": "jpeg", "background": (255, 255, 255, 255), "width": 30},
    {"mask": True, "format": "png", "crop": True},
    {"format": "png", "background_blur": 30.0, "angle": 10.0},
    {"format": "webp", "background_image": True, "shadow": "drop"},
)


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
@pytest.mark.parametrize("turn", range(5))
def test_each_result_is_what_it_is_alone(mode, turn):
    """Whichever is the last, which takes the images that the others had copies of."""
    data = file_bytes(photo(mode=mode))
    behind = file_bytes(photo((30, 50), seed=1))
    options = [CutoutOptions(**one, roi=((4.0, "px"), (0.0, "px"), (60.0, "px"), (40.0, "px"))) for one in EACH]
    options = options[turn:] + options[:turn]

    def made(model, first, *more):
        background = BackgroundImage(io.BytesIO(behind), read_header(io.BytesIO(behind)))
        header = read_header(io.BytesIO(data))
        return cut_out(io.BytesIO(data), header, first, model, more=more, background=background)

    model = CountingModel()
    together = made(model, *options)
    assert model.calls == 1
    assert set(together.timings) == {"decode", "inference", "compose", "encode"}
    for one, result in zip(options, (together, *together.more), strict=True):
        alone = made(EllipseModel(), one)
        assert result.data == alone.data
        facts = ("media_type", "width", "height", "foreground", "confidence", "model")
        assert [getattr(result, fact) for fact in facts] == [getattr(alone, fact) for fact in facts]
        opened(result)


def test_a_refusal_names_its_output():
    data = file_bytes(photo((400, 2)))
    too_long = CutoutOptions(crop=True, height=10_000)
    header = read_header(io.BytesIO(data))
    with pytest.raises(ImageRefused) as refused:
        cut_out(io.BytesIO(data), header, CutoutOptions(), EllipseModel(), more=[too_long])
    (problem,) = refused.value.problems
    assert problem.field == "outputs[1].w"
    assert problem.message.startswith("outputs[1]: The cropped image's width")


def test_the_weight_of_several_outputs():
    header = ImageHeader("JPEG", 4000, 2000, 1)
    small = CutoutOptions(width=100)
    assert peak_of_outputs(header, [small]) == peak_megapixels(header, small) == 8
    assert peak_of_outputs(header, [small, small]) == pytest.approx(8 + 4 + 0.35 * 8)
    large = ImageHeader("JPEG", 10_000, 10_000, 1)
    assert peak_of_outputs(large, [small] * 5) == pytest.approx(150), "large files are on disk"
