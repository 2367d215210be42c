import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ImageColor

from imaging.core.options import CutoutOptions, parse_options


def messages(**fields):
    _, problems = parse_options(fields)
    return [problem.message for problem in problems]


def option(name, **fields):
    options, problems = parse_options(fields)
    assert problems == []
    return getattr(options, name)


@pytest.mark.parametrize(
    ("field", "text", "code", "message"),
    [
        ("w", "abc", "invalid_integer", "'w' must be an integer, got: 'abc'"),
        ("h", "100.0", "invalid_integer", "'h' must be an integer, got: '100.0'"),
        ("w", "1_000", "invalid_integer", "'w' must be an integer, got: '1_000'"),
        ("w", "١٢", "invalid_integer", "'w' must be an integer, got: '١٢'"),
        ("w", "1e3", "invalid_integer", "'w' must be an integer, got: '1e3'"),
        ("w", "+ 5", "invalid_integer", "'w' must be an integer, got: '+ 5'"),
        ("w", "-5", "out_of_range", "'w' must be at least 1, got: -5"),
        ("h", "-007", "out_of_range", "'h' must be at least 1, got: -7"),
        ("w", "15000", "out_of_range", "'w' must be at most 10000, got: 15000"),
        ("h", "+10001", "out_of_range", "'h' must be at most 10000, got: 10001"),
        ("angle", "ninety", "invalid_number", "'angle' must be a number, got: 'ninety'"),
        ("angle", "nan", "invalid_number", "'angle' must be a number, got: 'nan'"),
        ("angle", "-inf", "invalid_number", "'angle' must be a number, got: '-inf'"),
        ("angle", "1e999", "invalid_number", "'angle' must be a number, got: '1e999'"),
        ("angle", "1_0", "invalid_number", "'angle' must be a number, got: '1_0'"),
        ("angle", "٩٠", "invalid_number", "'angle' must be a number, got: '٩٠'"),
        ("angle", "0x10", "invalid_number", "'angle' must be a number, got: '0x10'"),
        ("angle", "500", "out_of_range", "'angle' must be between -360 and 360 degrees, got: 500.0"),
        ("angle", "-360.5", "out_of_range", "'angle' must be between -360 and 360 degrees, got: -360.5"),
        ("format", "gif", "invalid_format", "Invalid format 'gif'. Allowed formats: PNG, JPEG, WEBP, BMP"),
        (
            "bg_color",
            "#12345",
            "invalid_color",
            "Invalid color format '#12345'. Use hex format: #RGB, #RGBA, #RRGGBB, or #RRGGBBAA",
        ),
        ("mask", "maybe", "invalid_boolean", "'mask' must be true or false, got: 'maybe'"),
        ("expand", "2", "invalid_boolean", "'expand' must be true or false, got: '2'"),
        ("exact_resize", "tru", "invalid_boolean", "'exact_resize' must be true or false, got: 'tru'"),
    ],
)
def test_a_wrong_value_is_refused_in_the_words_of_the_contract(field, text, code, message):
    _, problems = parse_options({field: text})
    assert [(problem.field, problem.code, problem.message) for problem in problems] == [(field, code, message)]


def test_a_mask_on_a_background_is_refused():
    _, (problem,) = parse_options({"mask": "true", "bg_color": "red"})
    assert (problem.field, problem.code) == ("mask", "mask_with_bg_color")
    assert problem.message == "Cannot use 'mask=true' together with 'bg_color'. Choose one or the other."
    assert messages(mask="true", bg_color="  ") == []
    assert messages(mask="0", bg_color="red") == []


def test_all_problems_are_found_in_one_pass():
    fields = {
        "format": "gif",
        "w": "abc",
        "h": "-1",
        "exact_resize": "x",
        "mask": "x",
        "bg_color": "x",
        "angle": "x",
        "expand": "x",
        "return_base64": "x",
        "unknown": "x",
    }
    _, problems = parse_options(fields)
    assert [problem.field for problem in problems] == [
        "format",
        "w",
        "h",
        "exact_resize",
        "mask",
        "bg_color",
        "angle",
        "expand",
    ]


def test_the_official_node_client_asks_for_nothing():
    fields = {"w": "0", "h": "0", "exact_resize": "false", "mask": "false", "return_base64": "true", "expand": "true"}
    assert parse_options(fields) == (CutoutOptions(), [])


@pytest.mark.parametrize("text", ["", "  ", "0", "+0", "-0", "000", "\t0\n"])
def test_empty_or_zero_is_unset(text):
    assert option("width", w=text) is None


@pytest.mark.parametrize(("text", "value"), [("1", 1), (" 10000 ", 10000), ("+7", 7), ("0" * 5000 + "12", 12)])
def test_sides_are_whole_pixels(text, value):
    assert option("height", h=text) == value


def test_numbers_of_any_length_are_refused_in_a_short_message():
    (message,) = messages(w="9" * 10_000)
    assert message.startswith("'w' must be at most 10000, got: 999")
    assert message.endswith("9…")
    assert len(message) < 140
    (message,) = messages(w="-" + "9" * 10_000)
    assert message.startswith("'w' must be at least 1, got: -999")
    assert len(messages(angle="9" * 10_000)[0]) < 140


@pytest.mark.parametrize("field", ["w", "format", "bg_color", "angle", "mask"])
def test_what_is_echoed_is_cut(field):
    (message,) = messages(**{field: "x" * 1000})
    assert "x" * 99 + "…" in message
    assert "x" * 100 not in message


@pytest.mark.parametrize(
    ("text", "value"),
    [("90", 90.0), ("-360", -360.0), (" .5 ", 0.5), ("+1.", 1.0), ("1e2", 100.0), ("-1.5E-1", -0.15), ("1e-999", 0.0)],
)
def test_angles(text, value):
    assert option("angle", angle=text) == value


@pytest.mark.parametrize("text", ["true", "TRUE", "1", "yes", "On", " on "])
def test_yes(text):
    assert option("mask", mask=text) is True


@pytest.mark.parametrize("text", ["false", "False", "0", "NO", "off"])
def test_no(text):
    assert option("expand", expand=text) is False


@pytest.mark.parametrize(
    ("text", "value"),
    [("WEBP", "webp"), ("Png", "png"), ("jpg", "jpeg"), ("JPEG", "jpeg"), ("bmp", "bmp"), ("", "webp")],
)
def test_formats(text, value):
    assert option("format", format=text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("#F00", (255, 0, 0, 255)),
        ("0f08", (0, 255, 0, 136)),
        ("#0000FF", (0, 0, 255, 255)),
        ("0000ff80", (0, 0, 255, 128)),
        ("Red", (255, 0, 0, 255)),
        ("RebeccaPurple", (102, 51, 153, 255)),
        ("transparent", (0, 0, 0, 0)),
        (" white ", (255, 255, 255, 255)),
    ],
)
def test_colours(text, value):
    assert option("background", bg_color=text) == value


@pytest.mark.parametrize("text", ["#red", "##fff", "#", "ff", "fffff", "#fffffffff", "rgb(1,2,3)", "#１２３", "gggggg"])
def test_no_colours(text):
    assert len(messages(bg_color=text)) == 1


def test_every_css_colour_name_is_known():
    assert len(ImageColor.colormap) == 148  # the number in CSS Color Module 4
    for name in tuple(ImageColor.colormap):
        assert option("background", bg_color=name.upper())[:3] == ImageColor.getrgb(name)


FIELDS = ("format", "w", "h", "exact_resize", "mask", "bg_color", "angle", "expand", "return_base64")


@given(st.dictionaries(st.sampled_from(FIELDS), st.text() | st.from_regex(r"[+-]?[0-9.eE]{1,12}|#?[0-9a-fA-F]{1,9}")))
def test_no_text_makes_it_raise(fields):
    options, problems = parse_options(fields)
    assert {problem.field for problem in problems} <= set(fields) - {"return_base64"}
    assert -360 <= options.angle <= 360
    assert all(side is None or 1 <= side <= 10_000 for side in (options.width, options.height))
