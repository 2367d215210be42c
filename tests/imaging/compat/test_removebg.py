"""`POST /v1.0/removebg`: formats, geometry, backgrounds, shadows, kinds and headers."""

import base64
import io
import json
import zipfile

import numpy as np
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from PIL import Image, ImageDraw

from billing.credits import ledger
from billing.dashboard import request_log
from billing.membership.balance import get_credits
from billing.models import Plan, RequestRecord
from imaging.compat.api import wants_json
from imaging.core.matting.matte import Prediction
from imaging.executor import runtime
from tests.conftest import encoded
from tests.imaging.compat.conftest import Answer, blank


class BoxMatte:
    """A model whose subject is a box in the middle, half as wide and high as the image."""

    name = "box"

    def predict(self, image):
        matte = Image.new("L", image.size)
        width, height = image.size
        ImageDraw.Draw(matte).rectangle((width // 4, height // 4, width * 3 // 4 - 1, height * 3 // 4 - 1), fill=255)
        return Prediction(matte, self.name, 1.0)


@pytest.fixture
def box(monkeypatch):
    """A subject in the middle: 200 x 100 of 400 x 200."""
    monkeypatch.setattr(runtime, "_model", BoxMatte())
    return blank(400, 200)


def foreground(answer):
    return [int(answer.headers[f"X-Foreground-{side}"]) for side in ("Left", "Top", "Width", "Height")]


def visible(image):
    return image.getchannel("A").getbbox()


# --- Format


@pytest.mark.parametrize(
    ("fields", "media_type", "mode"),
    [
        ({}, "image/png", "RGBA"),
        ({"format": "auto", "bg_color": "green"}, "image/jpeg", "RGB"),
        ({"bg_color": "c57f4980"}, "image/png", "RGBA"),
        ({"bg_color": "00000000"}, "image/png", "RGBA"),
        ({"channels": "alpha"}, "image/jpeg", "L"),
        ({"channels": "alpha", "format": "png"}, "image/png", "L"),
        ({"format": "png", "bg_color": "fff"}, "image/png", "RGB"),
        ({"format": "jpg"}, "image/jpeg", "RGB"),
        ({"format": "webp"}, "image/webp", "RGBA"),
        ({"format": "PNG"}, "image/png", "RGBA"),
    ],
)
def test_the_format(removebg, fields, media_type, mode):
    answer = removebg(blank(40, 30), **fields)
    assert (answer.headers["Content-Type"], answer.image.mode) == (media_type, mode)
    assert answer.headers["Content-Length"] == str(len(answer.content))
    assert "Content-Disposition" not in answer.headers


def test_an_image_that_is_all_subject_is_a_jpeg(removebg, monkeypatch):
    class AllMatte(BoxMatte):
        def predict(self, image):
            return Prediction(Image.new("L", image.size, 255), self.name, 1.0)

    monkeypatch.setattr(runtime, "_model", AllMatte())
    assert removebg(blank(40, 30)).headers["Content-Type"] == "image/jpeg"


def test_jpg_is_white_behind_and_a_translucent_colour_stays_as_it_is(removebg, box):
    assert removebg(box, format="jpg").image.getpixel((0, 0)) == (255, 255, 255)
    assert removebg(box, bg_color="c57f4980").image.getpixel((0, 0)) == (197, 127, 73, 128)


def test_transparent_pixels_of_a_png_are_black(removebg, box):
    assert removebg(box).image.getpixel((0, 0)) == (0, 0, 0, 0)


def test_a_zip_has_two_stored_files_in_this_order(removebg, box):
    answer = removebg(box, format="zip")
    assert answer.headers["Content-Type"] == "application/zip"
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    assert [(entry.filename, entry.compress_type) for entry in archive.infolist()] == [("color.jpg", 0), ("alpha.png", 0)]
    color, alpha = (Image.open(archive.open(name)) for name in ("color.jpg", "alpha.png"))
    assert (color.format, color.mode, color.size) == ("JPEG", "RGB", (400, 200))
    assert not color.info.get("progressive")
    assert (alpha.format, alpha.mode, alpha.size) == ("PNG", "L", (400, 200))
    assert np.array_equal(np.asarray(alpha), np.asarray(removebg(box, format="png").image)[..., 3])
    # Where nothing is visible, the photograph is still there.
    assert np.abs(np.asarray(color)[2, 2].astype(int) - (255, 165, 0)).max() < 6
    for fields in ({"channels": "alpha"}, {"bg_color": "red"}, {"crop": "true"}):
        names = zipfile.ZipFile(io.BytesIO(removebg(box, format="zip", **fields).content)).namelist()
        assert names == ["color.jpg", "alpha.png"]


# --- Geometry


def test_a_region_is_all_that_can_be_subject(removebg, box):
    image = removebg(box, roi="50% 0 100% 100%").image
    assert visible(image) == (250, 50, 350, 150)
    assert removebg(box, roi="0 0 100% 100%").status == 200
    assert visible(removebg(box, roi="0 0 200px 100%").image) == (50, 50, 150, 150)


@pytest.mark.parametrize(
    ("margin", "size"),
    [("", (200, 100)), ("10px", (220, 120)), ("10", (220, 120)), ("10%", (240, 120)), ("10px 20px", (240, 120)),
     ("1px 2px 3px 4px", (206, 104)), ("50%", (400, 200))],
)  # fmt: skip
def test_a_crop_and_its_margins(removebg, box, margin, size):
    answer = removebg(box, crop="true", crop_margin=margin)
    assert answer.size == answer.image.size == size
    assert foreground(answer) == [100, 50, 200, 100], "before the crop"


def test_a_margin_without_a_crop_does_nothing(removebg, box):
    assert removebg(box, crop_margin="10px").size == (400, 200)


def test_a_crop_of_a_smaller_result(removebg, monkeypatch):
    monkeypatch.setattr(runtime, "_model", BoxMatte())
    answer = removebg(blank(2400, 1600), crop="true", crop_margin="10px")
    # 612 x 408 before the crop.
    assert answer.size == (326, 224)
    assert foreground(answer) == [153, 102, 306, 204]


@pytest.mark.parametrize(
    ("fields", "box_of_subject"),
    [
        ({}, (100, 50, 300, 150)),
        ({"scale": "original", "position": "original"}, (100, 50, 300, 150)),
        ({"scale": "100%"}, (0, 0, 400, 200)),
        ({"scale": "50%"}, (100, 50, 300, 150)),
        ({"scale": "25%"}, (150, 75, 250, 125)),
        ({"scale": "25%", "position": "0% 100%"}, (0, 150, 100, 200)),
        ({"scale": "25%", "position": "100%"}, (300, 150, 400, 200)),
        ({"position": "0%"}, (0, 0, 200, 100)),
        ({"position": "center"}, (100, 50, 300, 150)),
        ({"scale": "25%", "position": "original"}, (150, 75, 250, 125)),
    ],
)
def test_scale_and_position(removebg, box, fields, box_of_subject):
    answer = removebg(box, format="png", **fields)
    assert answer.size == (400, 200)
    assert visible(answer.image) == box_of_subject
    left, top, width, height = foreground(answer)
    assert (left, top, left + width, top + height) == box_of_subject


def test_a_crop_of_a_scaled_subject_changes_its_resolution_alone(removebg, box):
    assert removebg(box, crop="true", scale="25%").size == (100, 50)


def test_a_turned_photograph_is_upright(removebg, monkeypatch):
    monkeypatch.setattr(runtime, "_model", BoxMatte())
    exif = Image.Exif()
    exif[0x0112] = 6
    answer = removebg(blank(400, 200, "JPEG", exif=exif))
    assert answer.size == (200, 400)
    assert foreground(answer) == [50, 100, 100, 200]


# --- Behind the subject


def test_an_image_behind_the_subject(removebg, box):
    blue = SimpleUploadedFile("b", blank(30, 300, color=(10, 20, 250)))
    answer = removebg(box, bg_image_file=blue)
    assert (answer.headers["Content-Type"], answer.image.mode) == ("image/jpeg", "RGB")
    assert answer.image.getpixel((2, 2))[2] > 240


@pytest.mark.parametrize("color", ["green", "81d4fa", "#81d4fa", "8cf", "8cff", "81d4faff"])
def test_colours(removebg, box, color):
    assert removebg(box, bg_color=color).image.mode == "RGB"


def shade(answer):
    """The darkest visible pixel next to the subject."""
    pixels = np.asarray(answer.image.convert("RGBA"))[..., 3].astype(int)
    pixels[50:150, 100:300] = 0
    return int(pixels.max())


@pytest.mark.parametrize(
    ("fields", "has_shadow"),
    [
        ({}, False),
        ({"shadow_type": "none"}, False),
        *(({"shadow_type": name}, True) for name in ("auto", "drop", "car", "3D", "3d")),
        ({"shadow_type[car]": "car"}, False),
        ({"shadow_type[car]": "car", "type": "car"}, True),
        ({"shadow_type[other]": "drop"}, True),
        ({"shadow_type[graphic]": "drop", "type": "graphic"}, True),
        ({"shadow_type": "drop", "shadow_type[other]": "none"}, False),
        ({"add_shadow": "true"}, False),
        ({"add_shadow": "true", "type": "car"}, True),
        ({"shadow_type": "drop", "channels": "alpha", "format": "png"}, False),
        ({"shadow_type": "drop", "shadow_opacity": "0"}, False),
        ({"shadow_type": "drop", "shadow_opacity[other]": "0"}, False),
        ({"shadow_type": "drop", "shadow_opacity": "auto"}, True),
    ],
)
def test_shadows(removebg, box, fields, has_shadow):
    answer = removebg(box, **fields)
    if fields.get("channels") == "alpha":
        assert answer.image.getpixel((320, 160)) == 0
    else:
        assert (shade(answer) > 0) is has_shadow


def test_the_shadow_of_a_car_is_the_darkest(removebg, box):
    usual = removebg(box, shadow_type="drop", type="product")
    car = removebg(box, shadow_type="drop", type="car")
    assert shade(car) > shade(usual) > 0


# --- Kinds


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({}, "other"),
        *(({"type": name}, name) for name in ("person", "product", "animal", "car")),
        ({"type": "auto"}, "other"),
        ({"type": "car_interior"}, "other"),
        ({"type": "transportation", "type_level": "1"}, "other"),
        ({"type": "transportation", "type_level": "2"}, "transportation"),
        ({"type": "graphic", "type_level": "latest"}, "graphics"),
        ({"type": "car_part", "type_level": "2"}, "car_part"),
        ({"type": "person", "type_level": "none"}, None),
        ({"semitransparency": "false", "shadow_method": "legacy", "api_key": "x", "nonsense": "y"}, "other"),
    ],
)
def test_the_kind(removebg, small_png, fields, kind):
    assert removebg(small_png, **fields).headers.get("X-Type") == kind


# --- The answer


@pytest.mark.parametrize(
    ("accept", "is_json"),
    [
        ("application/json", True),
        ("application/json; charset=utf-8", True),
        ("application/json, text/plain", True),
        ("APPLICATION/JSON", True),
        ("application/json, text/plain, */*", False),
        ("application/json, image/png", False),
        ("image/*", False),
        ("*/*", False),
        ("", False),
        ("text/html", False),
    ],
)
def test_what_the_caller_accepts(accept, is_json):
    assert wants_json(accept) is is_json


def test_a_result_as_json(removebg, box):
    plain = removebg(box)
    answer = removebg(box, headers={"Accept": "application/json"})
    assert answer.headers["Content-Type"] == "application/json"
    data = json.loads(answer.content)["data"]
    assert list(data) == ["result_b64", "foreground_top", "foreground_left", "foreground_width", "foreground_height"]
    assert base64.b64decode(data["result_b64"]) == plain.content
    assert [data[f"foreground_{side}"] for side in ("left", "top", "width", "height")] == foreground(plain)
    assert answer.headers["X-Credits-Charged"] == "0.25"


def test_a_large_result_as_json(removebg):
    noise = encoded(Image.effect_noise((700, 700), 90).convert("RGB"))
    answer = removebg(noise, size="full", headers={"Accept": "application/json"})
    image = Image.open(io.BytesIO(base64.b64decode(json.loads(answer.content)["data"]["result_b64"])))
    assert image.size == (700, 700)
    assert answer.headers["Content-Length"] == str(len(answer.content))


def test_the_headers(removebg, small_png):
    headers = removebg(small_png, headers={"Origin": "https://shop.example"}).headers
    wanted = {
        "X-Type", "X-Width", "X-Height", "X-Credits-Charged", "X-Foreground-Top", "X-Foreground-Left", "X-Foreground-Width",
        "X-Foreground-Height", "X-Max-Width", "X-Max-Height", "X-RateLimit-Limit", "X-RateLimit-Remaining",
        "X-RateLimit-Reset",
    }  # fmt: skip
    assert wanted <= set(headers)
    assert headers["Access-Control-Allow-Origin"] == "*"
    exposed = {name.strip().lower() for name in headers["Access-Control-Expose-Headers"].split(",")}
    assert {name.lower() for name in wanted} | {"retry-after"} <= exposed


def test_a_preflight(client, db):
    asked = {
        "Origin": "https://shop.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "x-api-key,accept,content-type",
    }
    answer = client.options("/v1.0/removebg", headers=asked)
    assert answer.status_code == 200
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "x-api-key" in answer.headers["Access-Control-Allow-Headers"]


def test_megapixels_are_counted(removebg):
    first = removebg(blank(2500, 1600)).headers
    second = removebg(blank(10, 10)).headers
    assert int(first["X-RateLimit-Limit"]) == int(first["X-RateLimit-Remaining"]) + 4
    assert int(second["X-RateLimit-Remaining"]) == int(first["X-RateLimit-Remaining"]) - 1
    assert int(first["X-RateLimit-Reset"]) > 1_700_000_000


def test_the_call_is_recorded_with_its_endpoint(removebg, small_png):
    removebg(small_png)
    removebg(small_png, size="huge")
    request_log.log.flush()
    records = RequestRecord.objects.order_by("id").values_list("endpoint", "status", "code")
    assert list(records) == [("v1.0/removebg", 200, ""), ("v1.0/removebg", 400, "invalid_choice")]


def test_a_retry_with_a_key_of_its_own_is_charged_once(removebg, small_png):
    headers = {"Idempotency-Key": "order-1"}
    charged = [removebg(small_png, headers=headers, size="full").headers["X-Credits-Charged"] for _ in range(2)]
    assert charged == ["1", "0"]


def test_the_answer_to_a_script_is_no_json_by_axios_default(client, key, premium, quick_model, small_png):
    accept = {"x-api-key": key, "Accept": "application/json, text/plain, */*"}
    answer = Answer(client.post("/v1.0/removebg", {"image_file": SimpleUploadedFile("x", small_png)}, headers=accept))
    assert answer.image.size == (8, 6)


# --- Charges


def left(user):
    return get_credits(ledger.get_account(user))


def test_free_previews_cost_nothing_and_then_a_quarter(client, key, user, quick_model, small_png):
    Plan.objects.filter(label=ledger.FREE_PLAN).update(included_credits=1, free_previews=1)
    ledger.get_account(user)
    account = client.get("/v1.0/account", headers={"x-api-key": key}).json()["data"]["attributes"]
    assert account["api"]["free_calls"] == 1

    def send():
        file = SimpleUploadedFile("x", small_png)
        return Answer(client.post("/v1.0/removebg", {"image_file": file}, headers={"x-api-key": key}))

    assert [send().headers.get("X-Credits-Charged") for _ in range(6)] == ["0", *["0.25"] * 4, None]
    assert send().codes == ["insufficient_credits"]
    assert (left(user).total, left(user).free_previews) == (0, 0)


def test_auto_is_a_preview_without_a_whole_credit(client, key, user, quick_model):
    Plan.objects.filter(label=ledger.FREE_PLAN).update(included_credits=1, free_previews=0)
    image = blank(2400, 1600)

    def send(size):
        file = SimpleUploadedFile("x", image)
        return Answer(client.post("/v1.0/removebg", {"image_file": file, "size": size}, headers={"x-api-key": key}))

    assert send("preview").headers["X-Credits-Charged"] == "0.25"
    assert send("full").codes == ["insufficient_credits"]
    smaller = send("auto")
    assert (smaller.size, smaller.headers["X-Credits-Charged"]) == ((612, 408), "0.25")
    assert (smaller.headers["X-Max-Width"], left(user).total) == ("2400", 50)
