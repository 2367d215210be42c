"""`/v1.0/` behind the product's own server: early refusals, bodies without a length, its errors in their shape."""

import base64
import io
import json
import socket

import requests
from PIL import Image

from tests.conftest import encoded

MEGABYTE = 1024**2


def post(server, key=None, **options):
    headers = {**({"X-Api-Key": key} if key else {}), **options.pop("headers", {})}
    return requests.post(f"{server.url}/v1.0/removebg", headers=headers, timeout=120, **options)


def codes(response):
    return [entry["code"] for entry in response.json()["errors"]]


def test_an_upload_without_a_key_is_refused_before_it_has_arrived(server):
    for key, title in ((None, "Missing API Key"), ("wrong", "API Key invalid")):
        with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
            credential = f"X-Api-Key: {key}\r\n" if key else ""
            connection.sendall(
                f"POST /v1.0/removebg HTTP/1.1\r\nHost: 127.0.0.1\r\n{credential}Content-Type: application/json\r\n"
                f"Expect: 100-continue\r\nContent-Length: {40 * MEGABYTE}\r\n\r\n".encode()
            )
            answer = connection.makefile("rb").read()
        assert answer.startswith(b"HTTP/1.1 403 "), answer
        assert title.encode() in answer


def test_a_body_without_a_length(server, server_key):
    """As npm's removd streams it."""
    image = encoded(Image.effect_noise((900, 700), 80).convert("RGB"))
    text = base64.b64encode(image)
    body = json.dumps({"size": "full", "bg_color": "00000000"}).encode()[:-1] + b', "image_file_b64": "' + text + b'"}'
    pieces = (body[at : at + 50_000] for at in range(0, len(body), 50_000))
    response = post(server, server_key, data=pieces, headers={"Content-Type": "application/json"})
    if response.status_code == 400:
        # Noise may have no subject for the model; it was read all the same.
        assert codes(response) == ["unknown_foreground"]
    else:
        assert Image.open(io.BytesIO(response.content)).size == (900, 700)


def test_a_large_image_as_base64(server, server_key, photo):
    """More text than Django takes."""
    large = photo + bytes(6 * MEGABYTE)
    response = post(server, server_key, data={"image_file_b64": base64.b64encode(large).decode(), "size": "preview"})
    assert response.status_code == 200, response.text
    assert Image.open(io.BytesIO(response.content)).size == (500, 500)


def test_more_than_the_limit(server, server_key):
    response = post(server, server_key, files={"image_file": ("a.png", bytes(51 * MEGABYTE))})
    assert (response.status_code, codes(response)) == (400, ["file_too_large"])
    response = post(server, server_key, json={"image_file_b64": "A" * 70 * MEGABYTE})
    assert (response.status_code, codes(response)) == (400, ["file_too_large"])


def test_what_the_server_answers_itself(server):
    response = requests.post(f"{server.url}/v1.0/nothing", data=bytes(3 * MEGABYTE), timeout=60)
    assert (response.status_code, codes(response)) == (413, ["file_too_large"])
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.sendall(b"POST /v1.0/removebg HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n")
        answer = connection.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b'{"errors": [{"title"' in answer


def test_metrics_by_endpoint(server, server_key, photo):
    assert post(server, server_key, files={"image_file": photo}).status_code == 200
    text = requests.get(f"{server.url}/metrics", timeout=60).text
    assert 'rembg_requests_total{code="",endpoint="v1.0/removebg",status="200"}' in text
