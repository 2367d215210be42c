"""`POST /rmbg`: what a caller gets, against the running product with the real model."""

import contextlib
import http.client
import io
import re
import uuid

import numpy as np
import pytest
from PIL import Image

from tests.conftest import encoded


def opened(response) -> Image.Image:
    assert response.status_code == 200, response.text
    picture = Image.open(io.BytesIO(response.content))
    assert picture.size == (int(response.headers["X-Width"]), int(response.headers["X-Height"]))
    return picture


def test_a_photograph_becomes_a_cutout(server, server_key, photo):
    response = server.rmbg(server_key, files={"image": ("portrait.jpg", photo)})
    picture = opened(response)
    assert (picture.format, picture.mode, picture.size) == ("WEBP", "RGBA", (512, 512))
    alpha = np.asarray(picture.getchannel("A"))
    assert alpha[100:150, 190:230].mean() > 250, "the face is there"
    assert alpha[5:60, 400:500].mean() < 5, "the background is not"


def test_the_headers_of_a_success(server, server_key, photo):
    response = server.rmbg(server_key, files={"image": ("portrait.jpg", photo)}, data={"format": "PNG"})
    headers = response.headers
    assert headers["Content-Type"] == "image/png"
    assert int(headers["Content-Length"]) == len(response.content)
    assert headers["Content-Disposition"] == 'inline; filename="portrait-no-bg.png"'
    assert headers["X-Credits-Charged"] == "1"
    assert headers["X-Model"].startswith("u2net@8d10d2f3bb75; engine=")  # which one depends on the processor
    assert 0.5 < float(headers["X-Confidence"]) <= 1
    assert uuid.UUID(headers["X-Request-Id"])
    for step in ("decode", "inference", "compose", "encode", "total"):
        assert re.search(rf"\b{step};dur=\d+\.\d\b", headers["Server-Timing"])
    assert headers["RateLimit-Policy"] == '"minute";q=600;w=60'
    assert re.fullmatch(r'"minute";r=\d+;t=\d+', headers["RateLimit"])


def test_a_callers_own_request_id_is_kept_and_a_bad_one_is_not(server):
    assert server.rmbg(headers={"X-Request-Id": "order-2231_a.b"}).headers["X-Request-Id"] == "order-2231_a.b"
    assert server.rmbg(headers={"X-Request-Id": "short"}).headers["X-Request-Id"] != "short"


def test_what_the_official_client_always_sends_changes_nothing(server, server_key, photo):
    always = {"w": "0", "h": "0", "exact_resize": "false", "mask": "false", "return_base64": "true", "expand": "true"}
    response = server.rmbg(server_key, files={"image": ("image.png", photo)}, data=always)
    assert opened(response).size == (512, 512)
    assert response.headers["Content-Type"] == "image/webp"


def test_a_name_without_extension_is_judged_by_its_bytes(server, server_key, photo):
    response = server.rmbg(server_key, files={"image": ("blob", photo)}, data={"w": "32"})
    assert opened(response).size == (32, 32)
    assert response.headers["Content-Disposition"] == 'inline; filename="blob-no-bg.webp"'


def test_options_work_together(server, server_key, photo):
    data = {"w": "200", "h": "100", "exact_resize": "1", "angle": "90", "bg_color": "BLUE", "format": "jpg"}
    picture = opened(server.rmbg(server_key, files={"image": ("a.jpg", photo)}, data=data))
    assert (picture.format, picture.size) == ("JPEG", (200, 100))
    red, green, blue = picture.convert("RGB").getpixel((2, 98))
    assert blue > 240 and red < 15 and green < 15


def test_a_mask_is_grey_with_a_white_subject(server, server_key, photo):
    picture = opened(server.rmbg(server_key, files={"image": ("a.jpg", photo)}, data={"mask": "yes", "format": "png"}))
    assert picture.mode == "L"
    assert picture.getpixel((250, 150)) > 250
    assert picture.getpixel((450, 30)) < 5


def test_a_file_name_cannot_smuggle_anything_into_the_headers(server, server_key, small_png):
    name = '../..\\x"y; a=b\u00e9.png'
    response = server.rmbg(server_key, files={"image": (name, small_png)})
    assert response.status_code == 200
    assert "/" not in response.headers["Content-Disposition"].removeprefix("inline; ").replace("utf-8''", "")
    assert "Content-Disposition" in response.headers


def test_an_anonymous_call_is_not_charged(server, photo):
    response = server.rmbg(files={"image": ("a.jpg", photo)}, data={"w": "16"})
    assert response.headers["X-Credits-Charged"] == "0"
    assert '"day";q=5;w=86400' in response.headers["RateLimit-Policy"]


@pytest.mark.parametrize("where", ["query", "form"])
def test_a_key_outside_its_header_is_no_credential(server, server_key, where, small_png):
    place = {"params" if where == "query" else "data": {"x-api-key": server_key, "api_key": server_key}}
    response = server.rmbg(files={"image": ("a.exe", small_png)}, **place)
    assert '"day"' in response.headers["RateLimit-Policy"], "still anonymous"


def test_a_body_sent_in_chunks_of_unknown_length(server, server_key, small_png):
    boundary = "chunky"
    body = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'.encode()
        + small_png
        + f"\r\n--{boundary}--\r\n".encode()
    )
    headers = {"x-api-key": server_key, "Content-Type": f"multipart/form-data; boundary={boundary}"}
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)) as connection:
        connection.request("POST", "/rmbg", iter([body[:20], body[20:100], body[100:]]), headers, encode_chunked=True)
        response = connection.getresponse()
        assert response.status == 200
        assert Image.open(io.BytesIO(response.read())).size == (8, 6)


def test_accept_of_images_only_still_gets_errors_as_json(server):
    response = server.rmbg(headers={"Accept": "image/webp"})
    assert response.status_code == 400
    assert response.headers["Content-Type"] == "application/json"


def test_browsers_elsewhere_may_call_and_read_the_facts(server):
    preflight = server_options(server)
    assert preflight.headers["Access-Control-Allow-Origin"] == "*"
    assert "x-api-key" in preflight.headers["Access-Control-Allow-Headers"]
    # The last ones are sent by upload widgets and tracing, by default.
    for header in ("idempotency-key", "cache-control", "traceparent", "tracestate", "x-requested-with"):
        assert header in preflight.headers["Access-Control-Allow-Headers"].lower().split(", ")
    answer = server.rmbg(headers={"Origin": "https://shop.example"})
    assert "x-credits-charged" in answer.headers["Access-Control-Expose-Headers"].lower()


def server_options(server):
    import requests

    headers = {
        "Origin": "https://shop.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "x-api-key",
    }
    return requests.options(f"{server.url}/rmbg", headers=headers, timeout=10)


def test_one_pixel(server, server_key):
    assert opened(server.rmbg(server_key, files={"image": ("a.png", encoded(Image.new("RGB", (1, 1), "red")))})).size == (
        1,
        1,
    )


def test_nothing_secret_in_the_log(server, server_key, small_png):
    server.rmbg(server_key, files={"image": ("a.png", small_png)}, params={"key": server_key})
    log = server.log.read_text()
    assert server_key not in log
    assert server_key[:17] in log, "but its prefix is, for support"
