"""Malformed requests are refused by the server, in the API's shape, and nothing follows them on the connection."""

import re
import socket
from collections.abc import Iterator

import pytest

from tests.imaging.removal.forms import form
from tests.services.deployment import Deployment
from tests.services.slow_clients import FORM, PART, exchange, head, read_answer

pytestmark = pytest.mark.services

END = "\r\n\r\n"
HOST = "\r\nHost: localhost"
GET, POST = f"GET /rmbg HTTP/1.1{HOST}", f"POST /rmbg HTTP/1.1{HOST}"
CHUNKED = "\r\nTransfer-Encoding: chunked"
# Wherever the body's end is assumed, this must never be answered.
SMUGGLED = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
MALFORMED = {
    "no version": ("GET /rmbg" + HOST + END, 400),
    "HTTP/0.9": ("GET /rmbg\r\n\r\n", 400),
    "HTTP/2.0": ("GET /rmbg HTTP/2.0" + HOST + END, 400),
    "HTTP/1.2 and chunked": ("POST /rmbg HTTP/1.2" + HOST + CHUNKED + END + "0\r\n\r\n" + SMUGGLED, 400),
    "lower-case method": ("get /rmbg HTTP/1.1" + HOST + END, 400),
    "method of symbols": ('GE"T /rmbg HTTP/1.1' + HOST + END, 400),
    "two spaces": ("GET  /rmbg HTTP/1.1" + HOST + END, 400),
    "tab in the line": ("GET\t/rmbg HTTP/1.1" + HOST + END, 400),
    "no address": ("GET  HTTP/1.1" + HOST + END, 400),
    "address without slash": ("GET rmbg HTTP/1.1" + HOST + END, 400),
    "address of bytes": ("GET /rmbg/\xe9 HTTP/1.1" + HOST + END, 400),
    "asterisk": ("GET * HTTP/1.1" + HOST + END, 400),
    "CONNECT": ("CONNECT localhost:443 HTTP/1.1" + HOST + END, 400),
    "long address": ("GET /rmbg/" + "a" * 5000 + " HTTP/1.1" + HOST + END, 414),
    "long address without end": ("GET /rmbg/" + "a" * 5000, 414),
    "bare LF": ("GET /rmbg HTTP/1.1\nHost: localhost\n\n", 400),
    "bare LF in the headers": (GET + "\nX-A: b" + END, 400),
    "bare CR": (GET + "\r\nX-A: a\rX-B: b" + END, 400),
    "NUL": (GET + "\r\nX-A: a\0b" + END, 400),
    "folded header": (GET + "\r\nX-A: a\r\n b" + END, 400),
    "folded first header": ("GET /rmbg HTTP/1.1\r\n Host: localhost" + END, 400),
    "space before colon": (GET + "\r\nX-A : b" + END, 400),
    "no colon": (GET + "\r\nnonsense" + END, 400),
    "no name": (GET + "\r\n: b" + END, 400),
    "two hosts": (GET + HOST + END, 400),
    "two content types": (POST + "\r\nContent-Type: a/b\r\nContent-Type: a/c" + END, 400),
    "long header": (GET + "\r\nX-A: " + "a" * 9000 + END, 431),
    "many headers": (GET + "\r\nX-A: b" * 101 + END, 431),
    "headers without end": (GET + ("\r\nX-A: " + "a" * 8000) * 9, 431),
    "spaces": (GET + ("\r\nX-A: " + " " * 8000 + "a") * 7 + "\r\nX\0: " + END, 400),
    "two lengths": (POST + "\r\nContent-Length: 5\r\nContent-Length: 5" + END + "hello" + SMUGGLED, 400),
    "lengths in a list": (POST + "\r\nContent-Length: 5, 5" + END + "hello" + SMUGGLED, 400),
    "signed length": (POST + "\r\nContent-Length: +5" + END + "hello", 400),
    "negative length": (POST + "\r\nContent-Length: -5" + END, 400),
    "length of digits": (POST + "\r\nContent-Length: " + "9" * 5000 + END, 400),
    "length in other digits": (POST + "\r\nContent-Length: \xb2" + END, 400),
    "empty length": (POST + "\r\nContent-Length:" + END, 400),
    "length and chunked": (
        POST + "\r\nContent-Length: 5\r\nTransfer-Encoding: chunked" + END + "0\r\n\r\n" + SMUGGLED, 400,
    ),
    "chunked twice": (POST + "\r\nTransfer-Encoding: chunked, chunked" + END, 400),
    "two codings": (POST + "\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked" + END, 400),
    "identity": (POST + "\r\nTransfer-Encoding: identity" + END, 400),
    "empty coding": (POST + "\r\nTransfer-Encoding:" + END, 501),
    "coding of its own": (POST + "\r\nTransfer-Encoding: xchunked" + END, 501),
    "coding in quotes": (POST + '\r\nTransfer-Encoding: "chunked"' + END, 501),
    "coding with a vertical tab": (POST + "\r\nTransfer-Encoding: \x0bchunked" + END, 400),
    "gzip": (POST + "\r\nTransfer-Encoding: gzip, chunked" + END, 501),
    "chunked in HTTP/1.0": ("POST /rmbg HTTP/1.0" + HOST + "\r\nTransfer-Encoding: chunked" + END + "0\r\n\r\n", 400),
    "expectation": (POST + "\r\nExpect: 200-ok\r\nContent-Length: 5" + END + "hello", 417),
}  # fmt: skip
CODES = {
    400: "bad_request", 414: "uri_too_long", 417: "expectation_failed", 431: "headers_too_large", 501: "not_implemented",
}  # fmt: skip
# They have no path that could be the API's.
PATHLESS = {"two spaces", "tab in the line", "no address", "address without slash", "asterisk", "CONNECT"}
BAD_CHUNKS = {
    "no number": "zz\r\na\r\n0\r\n\r\n",
    "negative": "-5\r\nhello\r\n0\r\n\r\n",
    "prefixed": "0x5\r\nhello\r\n0\r\n\r\n",
    "underscore": "1_0\r\n0123456789abcdef\r\n0\r\n\r\n",
    "signed": "+5\r\nhello\r\n0\r\n\r\n",
    "huge": "f" * 17 + "\r\na",
    "empty": "\r\nhello\r\n0\r\n\r\n",
    "too short": "2\r\nhello\r\n0\r\n\r\n",
    "too long": "9\r\nhello\r\n0\r\n\r\n",
    "bare LF": "5\nhello\n0\n\n",
    "bare CR": "5\rhello\r0\r\r",
    "endless size": "0" * 1000,
    "endless extension": "5;" + "a" * 1000,
    "bad extension": "5;\0\r\nhello\r\n0\r\n\r\n",
    "endless trailers": "0\r\n" + "X-A: b\r\n" * 2000,
    "bad trailer": "0\r\nX-A : b\r\n\r\n",
    "tiny": "1\r\na\r\n" * 5000,
}


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """One web process, without limits on requests."""
    running = Deployment(tmp_path_factory.mktemp("malformed"), model_seconds=0, RATE_LIMIT_ENABLED="0", LOG_LEVEL="INFO")
    running.start()
    yield running
    running.stop()


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_request_is_refused(deployment, name):
    text, status = MALFORMED[name]
    answer = exchange(deployment.port, text.encode("latin-1"), seconds=5)
    assert answer.status == status
    assert answer.headers["connection"] == "close"
    assert answer.headers["x-request-id"]
    if name not in PATHLESS:
        assert answer.headers["content-type"] == "application/json"
        assert answer.code == CODES[status]
    assert b"healthz" not in answer.body
    assert b"HTTP/1.1 2" not in answer.body


@pytest.mark.parametrize("name", BAD_CHUNKS)
def test_bad_chunks_are_the_sender_s_mistake(deployment, name):
    """A 400 as for any broken form: no 500, nothing in the error log, nothing on the status page."""
    key = deployment.issue_key("chunks@example.com")
    already = deployment.log.stat().st_size
    request = head("POST", "/rmbg", f"x-api-key: {key}", FORM, "Transfer-Encoding: chunked") + BAD_CHUNKS[name].encode()
    answer = exchange(deployment.port, request, seconds=5, half_close=name in ("too long", "bare CR"))
    assert (answer.status, answer.code) == (400, "malformed_form")
    written = deployment.log.read_text()[already:]
    assert "ERROR" not in written
    assert "Traceback" not in written


def test_proper_chunks_are_a_body(deployment, small_png):
    key = deployment.issue_key("chunks@example.com")
    body = form(small_png)
    pieces = [body["data"][at : at + 100] for at in range(0, len(body["data"]), 100)]
    chunks = b"".join(b"%X ; name=value\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\nX-Trailer: a\r\n\r\n"
    lines = [f"x-api-key: {key}", f"Content-Type: {body['content_type']}", "Transfer-Encoding: chunked"]
    with socket.create_connection(("127.0.0.1", deployment.port), timeout=10) as connection:
        for request in head("POST", "/rmbg", *lines) + chunks, head("GET", "/healthz"):
            connection.sendall(request)
            assert read_answer(connection).status == 200
        # Sent byte by byte it is the same body.
        for byte in head("POST", "/rmbg", *lines) + chunks:
            connection.sendall(bytes([byte]))
        assert read_answer(connection).status == 200


def test_several_requests_on_a_connection(deployment):
    with socket.create_connection(("127.0.0.1", deployment.port), timeout=10) as connection:
        small = b"\r\n" + head("GET", "/healthz")
        connection.sendall(small * 2)
        received = b""
        while received.count(b'{"status": "ok"}') < 2:
            received += connection.recv(65536)
        assert received.count(b"HTTP/1.1 200 OK") == 2


@pytest.mark.parametrize("path", ["/healthz", "/docs", "/static/accounts/nothing.js", "/static/site.css"])
def test_head_is_answered_without_a_body(deployment, path):
    with socket.create_connection(("127.0.0.1", deployment.port), timeout=10) as connection:
        connection.sendall(head("HEAD", path) + head("GET", "/healthz"))
        first = b""
        while first.count(b"HTTP/1.1") < 2:
            first += connection.recv(65536)
    answer, second = first.split(b"\r\n\r\n", 1)
    assert second.startswith(b"HTTP/1.1 200 OK")
    assert int(re.findall(rb"Content-Length: (\d+)", answer)[0]) > 10


def test_http_1_0(deployment):
    answer = exchange(deployment.port, b"GET /healthz HTTP/1.0\r\n\r\n")
    assert (answer.status, answer.headers["connection"]) == (200, "close")
    kept = b"GET /healthz HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n"
    assert exchange(deployment.port, kept).headers["connection"] == "keep-alive"


def test_a_client_that_has_sent_everything_may_say_so(deployment):
    request = head("GET", "/healthz", "Connection: close")
    assert exchange(deployment.port, request, half_close=True).status == 200


@pytest.mark.parametrize(
    "name", ["SCRIPT_NAME", "SCRIPT-NAME", "PATH_INFO", "REMOTE_ADDR", "X_Forwarded_For", "WSGI.URL_SCHEME"]
)
def test_no_header_becomes_a_variable_of_the_server(deployment, name):
    answer = exchange(deployment.port, head("GET", "/x/healthz", f"{name}: /x"))
    assert answer.status == 404


def test_two_slashes_are_not_one(deployment):
    """A proxy's rules for paths, such as the one that hides /metrics, would not see the second."""
    assert exchange(deployment.port, head("GET", "//healthz")).status == 404
    assert exchange(deployment.port, head("GET", "http://localhost/healthz")).status == 200


def test_an_error_elsewhere_is_a_line_of_text(deployment):
    answer = exchange(deployment.port, b"GET /docs HTTP/9.9\r\n\r\n")
    assert answer.status == 400
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.headers["x-request-id"]


def test_a_caller_keeps_its_request_id_when_the_server_refuses(deployment):
    request = head("POST", "/rmbg", "X-Request-Id: my-request-1", "Content-Length: 5", "Content-Length: 5")
    assert exchange(deployment.port, request).headers["x-request-id"] == "my-request-1"
    assert (
        exchange(deployment.port, head("POST", "/rmbg", FORM, "Content-Length: 999999") + PART, half_close=True).status
        == 400
    )
