"""`POST /rmbg`: the fields of a finished image, against the running product."""

import io
import zlib
from struct import pack

import numpy as np
import pytest
from PIL import Image

from tests.imaging.core.pictures import file_bytes, photo, png_chunk


@pytest.fixture(scope="module")
def subject():
    """A grey subject before a blue wall, 120 x 90."""
    image = Image.new("RGB", (120, 90), (40, 80, 200))
    image.paste((120, 120, 120), (40, 30, 80, 70))
    return file_bytes(image)


def send(server, key, image, background=None, **fields):
    files = {"image": ("a.png", image)}
    if background is not None:
        files["bg_image"] = ("b.png", background)
    return server.rmbg(key, files=files, data=fields)


def opened(response):
    assert response.status_code == 200, response.text
    image = Image.open(io.BytesIO(response.content))
    assert (str(image.width), str(image.height)) == (response.headers["X-Width"], response.headers["X-Height"])
    return image


def foreground(response):
    return [int(response.headers[f"X-Foreground-{side}"]) for side in ("Left", "Top", "Width", "Height")]


def assert_problem(response, field, code):
    assert response.status_code == 400, response.text
    body = response.json()
    assert body["code"] == code, body
    assert f"'{field}'" in body["error"]


def test_every_answer_has_the_box_of_the_subject(server, server_key, subject):
    whole, cropped = (send(server, server_key, subject, format="png", crop=crop) for crop in ("false", "true"))
    assert foreground(whole) == foreground(cropped)
    assert opened(cropped).size == tuple(foreground(whole)[2:])
    # Sent to browsers' scripts.
    whole = server.rmbg(server_key, files={"image": ("a.png", subject)}, headers={"Origin": "https://shop.example"})
    exposed = {name.strip() for name in whole.headers["Access-Control-Expose-Headers"].lower().split(",")}
    assert {"x-foreground-left", "x-foreground-top", "x-foreground-width", "x-foreground-height"} <= exposed


def test_a_preset_and_a_field_beside_it(server, server_key, subject):
    image = opened(send(server, server_key, subject, preset="amazon", w="300", h="0"))
    assert (image.format, image.size) == ("JPEG", (300, 2000))


def test_an_image_behind_the_subject(server, server_key, subject):
    red = file_bytes(Image.new("RGB", (30, 300), (250, 10, 20)))
    response = send(server, server_key, subject, red, format="png")
    image = opened(response)
    assert (image.mode, image.size) == ("RGB", (120, 90))
    assert image.getpixel((0, 0)) == (250, 10, 20)


@pytest.mark.parametrize(
    ("background", "code"),
    [
        (b"", "empty_file"),
        (b"GIF89a", "invalid_image"),
        (file_bytes(photo(), "GIF"), "invalid_image"),
        (
            b"\x89PNG\r\n\x1a\n"
            + png_chunk(b"IHDR", pack(">IIBBBBB", 12_000, 8, 8, 2, 0, 0, 0))
            + png_chunk(b"IDAT", zlib.compress(bytes(8 * 36_001)))
            + png_chunk(b"IEND", b""),
            "image_too_wide",
        ),
    ],
)
def test_the_background_is_checked_as_the_image_is(server, server_key, subject, background, code):
    response = send(server, server_key, subject, background)
    assert (response.status_code, response.json()["code"]) == (400, code)


def test_a_background_without_end_is_counted_and_refused(server, server_key, subject):
    response = send(server, server_key, subject, bytes(51 * 1024**2))
    assert response.json()["error"] == "File size (51.0 MB) exceeds the maximum allowed size of 50 MB."


def test_a_background_with_a_wrong_name(server, server_key, subject):
    files = {"image": ("a.png", subject), "bg_image": ("b.exe", subject)}
    response = server.rmbg(server_key, files=files, data={"w": "x"})
    assert {detail["field"] for detail in response.json()["details"]} == {"bg_image", "w"}


def test_a_background_that_does_not_decode(server, server_key, subject):
    broken = file_bytes(photo((64, 64)))
    at = broken.index(b"IDAT") + 8
    response = send(server, server_key, subject, broken[:at] + bytes(40) + broken[at + 40 :])
    assert (response.status_code, response.json()["code"]) == (400, "invalid_image")


@pytest.mark.parametrize(
    "fields",
    [
        {"bg_color": "red", "bg_blur": "20"},
        {"bg_color": "red", "bg_image_url": "https://example.com/a.png"},
        {"bg_image_url": "https://example.com/a.png", "bg_blur": "5"},
    ],
)
def test_only_one_background(server, server_key, subject, fields):
    assert_problem(send(server, server_key, subject, **fields), list(fields)[1], "two_backgrounds")


def test_a_file_and_a_colour_are_two_backgrounds(server, server_key, subject):
    assert_problem(send(server, server_key, subject, subject, bg_color="red"), "bg_image", "two_backgrounds")
    mask = send(server, server_key, subject, subject, mask="true")
    assert mask.json()["error"] == "Cannot use 'mask=true' together with 'bg_image'. Choose one or the other."


@pytest.mark.parametrize("url", ["http://127.0.0.1/a.png", "ftp://example.com/a.png", "https://user@example.com/"])
def test_the_address_of_a_background_is_guarded(server, server_key, subject, url):
    response = send(server, server_key, subject, bg_image_url=url)
    assert response.status_code == 400
    assert response.json()["error"].startswith("'bg_image_url' ")


FIELD_PROBLEMS = [
    ("detail", "high", "invalid_choice", "'detail' must be one of auto, fast, got: 'high'"),
    ("decontaminate", "maybe", "invalid_boolean", "'decontaminate' must be true or false, got: 'maybe'"),
    ("crop", "2", "invalid_boolean", "'crop' must be true or false, got: '2'"),
    ("snap", "x", "invalid_boolean", "'snap' must be true or false, got: 'x'"),
    ("crop_margin", "1em", "invalid_length", "'crop_margin' must be 1, 2 or 4 lengths in px or %, got: '1em'"),
    ("crop_margin", "1 2 3", "invalid_length", "'crop_margin' must be 1, 2 or 4 lengths in px or %, got: '1 2 3'"),
    ("crop_margin", "501px", "out_of_range", "'crop_margin' must be between 0 and 500px, got: 501px"),
    ("crop_margin", "51%", "out_of_range", "'crop_margin' must be between 0 and 50%, got: 51%"),
    ("crop_margin", "-1", "out_of_range", "'crop_margin' must be between 0 and 500px, got: -1"),
    ("roi", "1 2 3", "invalid_length", "'roi' must be 4 lengths in px or %, got: '1 2 3'"),
    ("roi", "0 0 101% 10%", "out_of_range", "'roi' must be between 0 and 100%, got: 101%"),
    ("roi", "5 0 5 9", "roi_empty", "'roi' must have a width and a height, got: '5 0 5 9'"),
    ("roi", "0 0 121 90", "roi_out_of_bounds", "'roi' must lie inside the image, which has 120 x 90 px."),
    ("roi", "60 0 50% 90", "roi_empty", "'roi' must have a width and a height in an image of 120 x 90 px."),
    ("scale", "9%", "out_of_range", "'scale' must be between 10 and 100, got: 9%"),
    ("scale", "big", "invalid_number", "'scale' must be a number, got: 'big'"),
    ("position", "left", "invalid_number", "'position' must be a number, got: 'left'"),
    (
        "position",
        "1 2 3",
        "invalid_position",
        "'position' must be center, original, or one or two percentages, got: '1 2 3'",
    ),
    ("position", "101%", "out_of_range", "'position' must be between 0 and 100, got: 101%"),
    ("fit", "cover", "invalid_choice", "'fit' must be one of inside, exact, pad, got: 'cover'"),
    ("fit", "pad", "missing_size", "'fit=pad' needs both 'w' and 'h'."),
    ("padding", "46%", "out_of_range", "'padding' must be between 0 and 45%, got: 46%"),
    ("bg_blur", "101", "out_of_range", "'bg_blur' must be between 0 and 100, got: 101"),
    ("shadow", "long", "invalid_choice", "'shadow' must be one of none, drop, contact, got: 'long'"),
    ("shadow_opacity", "-1", "out_of_range", "'shadow_opacity' must be between 0 and 100, got: -1"),
    (
        "shadow_color",
        "#12345",
        "invalid_color",
        "Invalid color format '#12345'. Use hex format: #RGB, #RGBA, #RRGGBB, or #RRGGBBAA",
    ),
    ("shadow_blur", "1 2", "invalid_length", "'shadow_blur' must be 1 length in px or %, got: '1 2'"),
    ("shadow_offset", "1", "invalid_length", "'shadow_offset' must be 2 lengths in px or %, got: '1'"),
    ("shadow_offset", "0 -501px", "out_of_range", "'shadow_offset' must be between -500 and 500px, got: -501px"),
    (
        "preset",
        "bazaar",
        "invalid_choice",
        "'preset' must be one of amazon, ebay, etsy, google, shopify, walmart, got: 'bazaar'",
    ),
    ("quality", "0", "out_of_range", "'quality' must be between 1 and 100, got: 0"),
    ("quality", "high", "invalid_integer", "'quality' must be an integer, got: 'high'"),
    ("quality", "9" * 30, "out_of_range", f"'quality' must be between 1 and 100, got: {'9' * 30}"),
    ("dpi", "2401", "out_of_range", "'dpi' must be between 1 and 2400, got: 2401"),
]


@pytest.mark.parametrize(("field", "value", "code", "message"), FIELD_PROBLEMS)
def test_a_wrong_value(server, server_key, subject, field, value, code, message):
    response = send(server, server_key, subject, **{field: value})
    assert response.status_code == 400
    assert response.json() == {"error": message, "code": code, "status": 400}


def test_all_problems_are_found_in_one_pass(server, server_key, subject):
    fields = {field: value for field, value, _, _ in FIELD_PROBLEMS if field not in ("roi", "fit")}
    response = send(server, server_key, subject, **fields)
    assert [detail["field"] for detail in response.json()["details"]] == [
        "preset", "detail", "decontaminate", "crop", "crop_margin", "scale", "position", "padding", "snap", "bg_blur",
        "shadow", "shadow_opacity", "shadow_color", "shadow_blur", "shadow_offset", "quality", "dpi",
    ]  # fmt: skip


def test_margins_that_leave_no_room(server, server_key, subject):
    fields = {"w": "20", "h": "90", "fit": "pad", "padding": "10px"}
    assert_problem(send(server, server_key, subject, **fields), "padding", "out_of_range")
    assert_problem(send(server, server_key, subject, w="20", crop="1", crop_margin="10px"), "crop_margin", "out_of_range")


def test_quality_and_dpi(server, server_key, subject):
    for format in ("jpeg", "webp"):
        small, large = (
            len(send(server, server_key, file_bytes(photo((200, 200))), format=format, bg_color="white", quality=q).content)
            for q in ("20", "95")
        )
        assert small < 0.7 * large
    for format in ("jpeg", "png"):
        dpi = opened(send(server, server_key, subject, format=format, dpi="300")).info["dpi"]
        assert [round(float(value)) for value in dpi] == [300, 300]
        assert "dpi" not in opened(send(server, server_key, subject, format=format)).info


@pytest.mark.parametrize("shadow", ["drop", "contact"])
def test_shadows_are_translucent_or_on_the_background(server, server_key, subject, shadow):
    fields = {"format": "png", "w": "200", "h": "200", "fit": "pad", "padding": "20%", "shadow": shadow}
    clear = np.asarray(opened(send(server, server_key, subject, **fields)))
    plain = np.asarray(opened(send(server, server_key, subject, **{**fields, "shadow": "none"})))
    added = (clear[..., 3] > 0) & (plain[..., 3] == 0)
    assert added.any()
    assert (clear[added][:, :3] == 0).all()
    solid = plain[..., 3] == 255
    assert (clear[solid] == plain[solid]).all()
    on_white = np.asarray(opened(send(server, server_key, subject, bg_color="white", **fields)))
    assert (on_white[added] < 255).any()


ADVISED = [
    ("a.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "unsupported_file_type", "HEIC"),
    ("a.avif", b"\0\0\0\x1cftypavif\0\0\0\0avifmif1", "unsupported_file_type", "AVIF"),
    ("a.jpg", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(99), "invalid_image", "HEIC"),
    ("a.png", b"\0\0\0\x1cftypmif1\0\0\0\0avifmif1" + bytes(99), "invalid_image", "AVIF"),
]


@pytest.mark.parametrize(("name", "content", "code", "format"), ADVISED)
def test_the_formats_of_phones_are_refused_with_advice(server, server_key, name, content, code, format):
    body = server.rmbg(server_key, files={"image": (name, content)}).json()
    assert body["code"] == code
    (detail,) = body["details"]
    assert (detail["field"], detail["message"]) == ("image", body["error"])
    assert detail["advice"].startswith(format)


@pytest.mark.parametrize("name", ["a.jpe", "a.jfif", "a.dib"])
def test_other_extensions_stay_refused_without(server, server_key, subject, name):
    body = server.rmbg(server_key, files={"image": (name, subject)}).json()
    assert (body["code"], "details" in body) == ("unsupported_file_type", False)
