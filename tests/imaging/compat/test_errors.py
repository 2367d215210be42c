"""The errors of `/v1.0/`: status, code and title of each, in its own shape whatever fails."""

import io
import json
import logging

import pytest
from django.db import OperationalError
from PIL import Image

from accounts.models import ApiKey
from billing.models import Hold, UsageWindow
from imaging.compat import api, orders
from imaging.compat.errors import shape
from imaging.core.matting.matte import Prediction
from imaging.executor import runtime
from imaging.executor.gate import Busy
from lib.web import catalogue
from lib.web.errors import ApiError, from_status
from lib.web.server.refusals import render
from tests.conftest import encoded
from tests.imaging.compat.conftest import Answer, blank


def assert_uncharged():
    assert not Hold.objects.filter(state=Hold.State.POSTED).exists()
    assert not any(window.used or window.held for window in UsageWindow.objects.all())


# --- Fields


@pytest.mark.parametrize(
    ("fields", "code", "title"),
    [
        ({"size": "huge"}, "invalid_size", "Invalid value for parameter 'size'"),
        ({"channels": "cmyk"}, "invalid_channels", "Invalid value for parameter 'channels'"),
        ({"format": "gif"}, "invalid_format", "Invalid format parameter given"),
        ({"roi": "abc"}, "invalid_roi", "Invalid roi parameter given"),
        ({"roi": "0 0 0 0"}, "roi_region_empty", "ROI region is empty"),
        ({"roi": "10% 0% 10% 100%"}, "roi_region_empty", "ROI region is empty"),
        ({"roi": "0 0 9000px 10px"}, "roi_exceeds_bounds", "ROI exceeds image bounds"),
        ({"roi": "0 0 101% 100%"}, "roi_exceeds_bounds", "ROI exceeds image bounds"),
        ({"roi": "-5px 0 100% 100%"}, "roi_exceeds_bounds", "ROI exceeds image bounds"),
        ({"scale": "5%"}, "invalid_scale", "Invalid scale parameter given"),
        ({"scale": "101%"}, "invalid_scale", "Invalid scale parameter given"),
        ({"position": "1 2 3"}, "invalid_position", "Invalid position parameter given"),
        ({"position": "120%"}, "invalid_position", "Invalid position parameter given"),
        ({"crop_margin": "501px"}, "invalid_crop_margin", "Invalid crop_margin parameter given"),
        ({"crop_margin": "51%"}, "invalid_crop_margin", "Invalid crop_margin parameter given"),
        ({"crop_margin": "1 2 3"}, "invalid_crop_margin", "Invalid crop_margin parameter given"),
        ({"semitransparency": "maybe"}, "invalid_semitransparency", "Invalid semitransparency parameter given"),
        ({"bg_color": "#12345"}, "invalid_bg_color", "Invalid bg_color parameter given"),
        ({"bg_color": "red", "bg_image_url": "https://example.com/a"}, "multiple_bg_sources", None),
        ({"bg_image_url": "ftp://a"}, "invalid_bg_image_url", "Invalid bg_image_url: Please provide a valid URL."),
        ({"type": "dinosaur"}, "invalid_parameter", "Invalid value for parameter 'type'"),
        ({"type_level": "9"}, "invalid_parameter", "Invalid value for parameter 'type_level'"),
        ({"crop": "maybe"}, "invalid_parameter", "Invalid value for parameter 'crop'"),
        ({"add_shadow": "maybe"}, "invalid_parameter", "Invalid value for parameter 'add_shadow'"),
        ({"shadow_type": "long"}, "invalid_parameter", "Invalid value for parameter 'shadow_type'"),
        ({"shadow_type[car]": "long"}, "invalid_parameter", "Invalid value for parameter 'shadow_type[car]'"),
        ({"shadow_opacity": "101"}, "invalid_parameter", "Invalid value for parameter 'shadow_opacity'"),
        ({"image_url": "https://example.com/a.jpg"}, "multiple_sources", "Multiple image sources given"),
    ],
)
def test_a_wrong_field(removebg, small_png, fields, code, title):
    answer = removebg(small_png, **fields)
    [error] = answer.errors
    assert (answer.status, error["code"]) == (400, code)
    assert title in (None, error["title"])
    assert "X-RateLimit-Limit" not in answer.headers
    assert_uncharged()


def test_all_problems_at_once(removebg):
    assert removebg(size="huge", roi="x").codes == ["missing_source", "invalid_size", "invalid_roi"]


# --- Images


@pytest.mark.parametrize(
    ("content", "code", "title"),
    [
        (b"\x00\x00\x00\x18ftypmp42", "invalid_file_type", "Invalid file type"),
        (b"GIF89a" + bytes(100), "invalid_file_type", "Invalid file type"),
        (b"\x89PNG\r\n\x1a\n" + bytes(30), "invalid_dimensions", "Failed to read image dimensions"),
        (b"\xff\xd8\xff\xe0" + bytes(30), "invalid_dimensions", "Failed to read image dimensions"),
        (blank(10_001, 1), "resolution_too_high", "Image resolution too high"),
        (blank(1, 10_001), "resolution_too_high", "Image resolution too high"),
        (b"", "missing_source", "No image given"),
    ],
)
def test_a_wrong_file(removebg, content, code, title):
    answer = removebg(content)
    [error] = answer.errors
    assert (answer.status, error["code"], error["title"]) == (400, code, title)
    assert_uncharged()


def test_a_file_that_does_not_decode(removebg):
    whole = encoded(Image.effect_noise((200, 200), 90).convert("RGB"), "JPEG")
    [error] = removebg(whole[: len(whole) // 2]).errors
    assert (error["code"], error["title"]) == ("failed_to_read_image", "There was an error reading the image.")


@pytest.mark.parametrize("confidence", [0.0, 1.0])
def test_nothing_in_the_foreground(removebg, small_png, monkeypatch, confidence):
    class NoMatte:
        name = "none"

        def predict(self, image):
            return Prediction(Image.new("L", image.size, 255 if confidence == 0 else 3), self.name, confidence)

    monkeypatch.setattr(runtime, "_model", NoMatte())
    for fields in ({}, {"channels": "alpha"}, {"format": "zip"}, {"crop": "true"}):
        answer = removebg(small_png, size="full", **fields)
        assert (answer.status, answer.codes) == (400, ["unknown_foreground"])
    assert_uncharged()


def test_addresses(removebg, settings):
    assert removebg(image_url="nonsense").codes == ["invalid_image_url"]
    [error] = removebg(image_url="http://127.0.0.1/a.jpg").errors
    assert (error["code"], error["title"]) == ("invalid_image_url", "Invalid image_url: Please provide a valid URL.")
    settings.IMAGE_URL_ENABLED = False
    assert removebg(image_url="https://example.com/a.jpg").codes == ["invalid_image_url"]


def test_an_address_without_an_image(removebg, web, fresh_places):
    host = web(lambda path: [b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"])
    [error] = removebg(image_url=f"http://127.0.0.1:{host.port}/a.jpg").errors
    assert error["code"] == "failed_image_download"
    assert error["title"].startswith("Failed to download image from given image_url: ")
    assert "404" in error["title"]
    image = blank(8, 8)
    [error] = removebg(image, bg_image_url=f"http://127.0.0.1:{host.port}/a.jpg").errors
    assert error["code"] == "failed_bg_download"


# --- Callers


@pytest.mark.parametrize(("headers", "title"), [({}, "Missing API Key"), ({"x-api-key": "no"}, "API Key invalid")])
@pytest.mark.parametrize("path", ["removebg", "improve", "account"])
def test_a_key_that_is_none(client, db, headers, title, path):
    send = client.get if path == "account" else client.post
    answer = Answer(send(f"/v1.0/{path}", headers=headers))
    [error] = answer.errors
    assert (answer.status, error["code"], error["title"]) == (403, "auth_failed", title)
    assert "WWW-Authenticate" not in answer.headers


def test_no_credits(removebg, small_png, user):
    UsageWindow.objects.update(allowance=0)
    answer = removebg(small_png)
    [error] = answer.errors
    assert (answer.status, error["code"], error["title"]) == (402, "insufficient_credits", "Insufficient credits")


def test_a_key_with_a_cap(removebg, small_png):
    ApiKey.objects.update(monthly_credit_cap=0)
    assert removebg(small_png).codes == ["insufficient_credits"]


def test_too_many_megapixels(removebg, monkeypatch):
    monkeypatch.setattr("lib.web.rate_limits.MEGAPIXELS_PER_REQUEST", 1)
    from billing.models import Plan

    Plan.objects.update(requests_per_minute=5)
    image = blank(2000, 1500)
    assert removebg(image).status == 200
    answer = removebg(image)
    [error] = answer.errors
    assert (answer.status, error["code"], error["title"]) == (429, "rate_limit_exceeded", "Rate limit exceeded")
    assert 1 <= int(answer.headers["Retry-After"]) <= 60
    assert answer.headers["X-RateLimit-Limit"] == "5"


# --- Whatever fails


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("get", "/v1.0/nothing", 404), ("get", "/v1.0/", 404), ("get", "/v1.0/removebg", 405),
        ("put", "/v1.0/removebg", 405),
        ("post", "/v1.0/account", 405), ("delete", "/v1.0/improve", 405), ("get", "/v1.0/removebg/", 404),
        ("get", "/v1.0/a%00", 400),
    ],
)  # fmt: skip
def test_other_methods_and_addresses(client, key, method, path, status):
    answer = Answer(getattr(client, method)(path, headers={"x-api-key": key}))
    assert (answer.status, len(answer.errors)) == (status, 1)


def test_another_host(client, db):
    assert Answer(client.post("/v1.0/removebg", headers={"host": "evil.example"})).status == 400


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [(b"x", "text/plain", 415), (b"\x89PNG", "image/png", 415), (b"x" * 300_000, "application/x-www-form-urlencoded", 413),
     (b"{" * 99, "application/json", 400), (b"--", "multipart/form-data", 400)],
)  # fmt: skip
def test_bodies(client, key, body, content_type, status):
    answer = Answer(client.post("/v1.0/removebg", body, content_type=content_type, headers={"x-api-key": key}))
    assert (answer.status, len(answer.errors)) == (status, 1)


@pytest.mark.parametrize(
    ("raised", "status"), [(Busy(), 503), (OperationalError("connection refused"), 503), (OSError(28, "no space"), 507)]
)
def test_our_faults(removebg, small_png, monkeypatch, raised, status):
    def fail(*args, **kwargs):
        raise raised

    monkeypatch.setattr(runtime, "execute", fail)
    answer = removebg(small_png)
    assert (answer.status, len(answer.errors)) == (status, 1)
    assert_uncharged()


def test_a_crash(client, key, monkeypatch, small_png, caplog):
    def fail(*args, **kwargs):
        raise RuntimeError("a fault")

    client.raise_request_exception = False
    caplog.set_level(logging.CRITICAL, logger="django.request")
    monkeypatch.setattr(orders, "parse_fields", fail)
    monkeypatch.setattr(api, "check_form", orders.check_form)
    image = io.BytesIO(small_png)
    image.name = "a.png"
    answer = Answer(client.post("/v1.0/removebg", {"image_file": image}, headers={"x-api-key": key}))
    assert (answer.status, answer.codes) == (500, ["internal_error"])


def test_an_error_of_the_server_itself():
    status, headers, body = render(from_status(413), "/v1.0/removebg", {})
    assert status.startswith("413 ")
    assert json.loads(body) == {
        "errors": [{"title": "File too large", "code": "file_too_large", "detail": "The request body is too large."}]
    }
    assert dict(headers)["Access-Control-Allow-Origin"] == "*"
    assert render(ApiError("invalid_api_key"), "/v1.0/x", {})[0].startswith("403 ")
    assert b'"status": 413' in render(from_status(413), "/rmbg", {})[2]


@pytest.mark.parametrize("code", [code for code, row in catalogue.ROWS.items() if "{" not in str(row.message)])
def test_every_error_has_the_shape(code):
    status, headers, body = shape(ApiError(code, message=str(catalogue.ROWS[code].message) or "A message."))
    [entry] = body["errors"]
    assert 400 <= status < 600
    assert status != 401
    assert set(entry) <= {"title", "code", "detail"}
    assert entry["title"]
    assert "WWW-Authenticate" not in headers
