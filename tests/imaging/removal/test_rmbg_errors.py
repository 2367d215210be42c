"""`POST /rmbg`: every row of the error table, text for text, against the running product."""

import json
import socket
import zlib
from struct import pack

import pytest
import requests
from PIL import Image

from tests.conftest import encoded
from tests.server import ProductServer

BOUNDARY = "a-boundary-of-the-test"


def post_raw(server: ProductServer, key: str, *parts: bytes) -> requests.Response:
    """Send a hand-written multipart body."""
    body = (
        b"".join(b"--" + BOUNDARY.encode() + b"\r\n" + part + b"\r\n" for part in parts)
        + b"--"
        + BOUNDARY.encode()
        + b"--\r\n"
    )
    return server.rmbg(key, headers={"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}, data=body)


def part(disposition: str, content: bytes = b"") -> bytes:
    return f"Content-Disposition: form-data; {disposition}\r\n\r\n".encode() + content


def assert_error(response: requests.Response, status: int, code: str, message: str) -> None:
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["X-Request-Id"]
    assert response.json() == {"error": message, "code": code, "status": status}


FIELD_PROBLEMS = [
    ("w", "abc", "invalid_integer", "'w' must be an integer, got: 'abc'"),
    ("h", "12.5", "invalid_integer", "'h' must be an integer, got: '12.5'"),
    ("w", "-5", "out_of_range", "'w' must be at least 1, got: -5"),
    ("h", "15000", "out_of_range", "'h' must be at most 10000, got: 15000"),
    ("angle", "ninety", "invalid_number", "'angle' must be a number, got: 'ninety'"),
    ("angle", "nan", "invalid_number", "'angle' must be a number, got: 'nan'"),
    ("angle", "500", "out_of_range", "'angle' must be between -360 and 360 degrees, got: 500.0"),
    ("format", "gif", "invalid_format", "Invalid format 'gif'. Allowed formats: PNG, JPEG, WEBP, BMP"),
    (
        "bg_color",
        "#12345",
        "invalid_color",
        "Invalid color format '#12345'. Use hex format: #RGB, #RGBA, #RRGGBB, or #RRGGBBAA",
    ),
    ("mask", "maybe", "invalid_boolean", "'mask' must be true or false, got: 'maybe'"),
    ("expand", "2", "invalid_boolean", "'expand' must be true or false, got: '2'"),
]


@pytest.mark.parametrize(("field", "value", "code", "message"), FIELD_PROBLEMS)
def test_a_wrong_option(server, server_key, small_png, field, value, code, message):
    response = server.rmbg(server_key, files={"image": ("a.png", small_png)}, data={field: value})
    assert_error(response, 400, code, message)


def test_a_mask_with_a_colour(server, server_key, small_png):
    response = server.rmbg(server_key, files={"image": ("a.png", small_png)}, data={"mask": "true", "bg_color": "red"})
    message = "Cannot use 'mask=true' together with 'bg_color'. Choose one or the other."
    assert_error(response, 400, "mask_with_bg_color", message)


def test_all_problems_are_reported_at_once(server, server_key):
    data = {"w": "abc", "angle": "500", "format": "gif"}
    response = server.rmbg(server_key, files={"image": ("virus.exe", b"MZ")}, data=data)
    body = response.json()
    assert (response.status_code, body["error"], body["code"], body["status"]) == (
        400,
        "Multiple validation errors",
        "validation_error",
        400,
    )
    assert {(detail["field"], detail["message"]) for detail in body["details"]} == {
        ("image", "File type '.exe' is not supported. Allowed formats: webp, bmp, png, jpg, jpeg"),
        ("w", "'w' must be an integer, got: 'abc'"),
        ("angle", "'angle' must be between -360 and 360 degrees, got: 500.0"),
        ("format", "Invalid format 'gif'. Allowed formats: PNG, JPEG, WEBP, BMP"),
    }


NO_IMAGE = "No image file provided. Please include an 'image' field in your form data."


def test_no_image_part(server, server_key):
    assert_error(post_raw(server, server_key, part('name="w"', b"0")), 400, "missing_image", NO_IMAGE)


def test_an_image_field_that_is_only_text(server, server_key):
    assert_error(post_raw(server, server_key, part('name="image"', b"hello")), 400, "missing_image", NO_IMAGE)


def test_no_body_at_all(server, server_key):
    assert_error(server.rmbg(server_key), 400, "missing_image", NO_IMAGE)


@pytest.mark.parametrize("content", [b"", b"\x89PNG"])
def test_a_form_sent_with_no_file_chosen(server, server_key, content):
    response = post_raw(server, server_key, part('name="image"; filename=""', content))
    assert_error(response, 400, "no_file_selected", "No file selected. Please choose an image file to upload.")


def test_an_extension_that_is_not_allowed(server, server_key, small_png):
    response = server.rmbg(server_key, files={"image": ("setup.EXE", small_png)})
    message = "File type '.exe' is not supported. Allowed formats: webp, bmp, png, jpg, jpeg"
    assert_error(response, 400, "unsupported_file_type", message)


INVALID = "File does not appear to be a valid image (invalid file signature)"


@pytest.mark.parametrize(
    "content",
    [
        b"hello",
        encoded(Image.new("RGB", (4, 4)), "GIF"),
        encoded(Image.new("RGB", (4, 4)), "TIFF"),
        b"\x89PNG\r\n\x1a\n" + b"x" * 50,
    ],
    ids=["text", "gif", "tiff", "png signature only"],
)
def test_bytes_that_are_no_allowed_picture(server, server_key, content):
    assert_error(server.rmbg(server_key, files={"image": ("a.png", content)}), 400, "invalid_image", INVALID)


def test_a_picture_that_breaks_off_halfway(server, server_key, photo):
    response = server.rmbg(server_key, files={"image": ("a.jpg", photo[: len(photo) // 2])})
    assert_error(response, 400, "invalid_image", INVALID)


def test_zero_bytes(server, server_key):
    response = server.rmbg(server_key, files={"image": ("a.png", b"")})
    assert_error(response, 400, "empty_file", "Uploaded file is empty (0 bytes).")


def test_over_50_mb_tells_the_real_size(server, server_key):
    response = server.rmbg(server_key, files={"image": ("a.png", bytes(int(55.2 * 1024**2)))})
    assert_error(response, 400, "file_too_large", "File size (55.2 MB) exceeds the maximum allowed size of 50 MB.")


def png_claiming(width: int, height: int) -> bytes:
    """A tiny PNG whose header claims any size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return pack(">I", len(data)) + kind + data + pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


def test_too_wide(server, server_key):
    response = server.rmbg(server_key, files={"image": ("a.png", png_claiming(12000, 10))})
    message = "Image width (12000px) exceeds the maximum allowed width of 10000px."
    assert_error(response, 400, "image_too_wide", message)


def test_too_tall(server, server_key):
    response = server.rmbg(server_key, files={"image": ("a.png", png_claiming(10, 15000))})
    message = "Image height (15000px) exceeds the maximum allowed height of 10000px."
    assert_error(response, 400, "image_too_tall", message)


def test_a_bomb_is_refused_by_its_header(server, server_key):
    response = server.rmbg(server_key, files={"image": ("a.png", png_claiming(30000, 30000))})
    assert response.status_code == 400
    assert [detail["message"] for detail in response.json()["details"]] == [
        "Image width (30000px) exceeds the maximum allowed width of 10000px.",
        "Image height (30000px) exceeds the maximum allowed height of 10000px.",
    ]


def test_a_header_that_lies_about_its_size(server, server_key):
    response = server.rmbg(server_key, files={"image": ("a.png", png_claiming(5000, 5000))})
    assert_error(response, 400, "invalid_image", INVALID)


def test_key_and_token_together(server, server_key):
    response = server.rmbg(server_key, headers={"Authorization": "Bearer x"})
    message = "This is a mistake: Cannot use both API key and user token"
    assert_error(response, 400, "two_credentials", message)


@pytest.mark.parametrize("headers", [{"x-api-key": "nonsense"}, {"x-api-key": ""}, {"Authorization": "Bearer nonsense"}])
def test_an_unknown_credential(server, headers, small_png):
    response = server.rmbg(headers=headers, files={"image": ("a.png", small_png)})
    assert_error(response, 401, "invalid_api_key", "invalid api key")
    assert response.headers["WWW-Authenticate"]


def test_a_wrong_key_with_a_large_body_still_gets_its_answer(server):
    response = server.rmbg("nonsense", files={"image": ("a.png", bytes(20 * 1024**2))})
    assert_error(response, 401, "invalid_api_key", "invalid api key")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS"])
def test_other_methods(server, method):
    response = requests.request(method, f"{server.url}/rmbg", timeout=10)
    assert_error(response, 405, "method_not_allowed", "This method is not allowed here.")
    assert response.headers["Allow"] == "POST"


def test_another_content_type(server, server_key):
    response = server.rmbg(server_key, json={"image": "x"})
    assert_error(response, 415, "unsupported_media_type", "This content type is not supported here.")


@pytest.mark.parametrize("path", ["/api/nothing", "/rmbg/nothing"])
def test_an_unknown_address_under_the_api(server, path):
    assert_error(requests.get(server.url + path, timeout=10), 404, "not_found", "Not found.")


def test_an_unknown_address_elsewhere_is_a_page(server):
    response = requests.get(f"{server.url}/nothing", timeout=10)
    assert response.status_code == 404
    assert response.headers["Content-Type"].startswith("text/html")


def test_a_broken_multipart_body(server, server_key):
    response = server.rmbg(server_key, headers={"Content-Type": "multipart/form-data; boundary=x"}, data=b"not multipart")
    assert response.status_code == 400
    assert response.json()["code"] == "malformed_form"


def test_a_body_that_breaks_off(server, server_key):
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        head = f"POST /rmbg HTTP/1.1\r\nHost: localhost\r\nx-api-key: {server_key}\r\nContent-Length: 1000\r\n"
        connection.sendall(f"{head}Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\n".encode())
        connection.shutdown(socket.SHUT_WR)
        answer = connection.makefile("rb").read()
    assert b"400 Bad Request" in answer.splitlines()[0]
    assert json.loads(answer.split(b"\r\n\r\n", 1)[1])["code"] == "malformed_form"
